/** As much of jax-js 0.1.25 as the bench calls; the package itself is installed on demand. */

/** An array, or a tracer of one. A call takes its arguments over; `ref` keeps one for another use. */
export interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: number[];
  add(x: JaxArray | number): JaxArray;
  sub(x: JaxArray | number): JaxArray;
  mul(x: JaxArray | number): JaxArray;
  div(x: JaxArray | number): JaxArray;
  neg(): JaxArray;
  reshape(shape: number[]): JaxArray;
  transpose(axes?: number[]): JaxArray;
  slice(...index: (number | [number, number] | [])[]): JaxArray;
  data(): Promise<Float32Array>;
  dispose(): void;
}

/** Arrays by name: one kind of the trees that jax-js maps over. */
export type Tree = Record<string, JaxArray>;
export type Device = "cpu" | "wasm" | "webgpu" | "webgl";

export function init(...devices: Device[]): Promise<Device[]>;
export function defaultDevice(device: Device): Device;
export function blockUntilReady<T>(arrays: T): Promise<T>;
export function jit<A extends readonly unknown[], R>(f: (...args: A) => R): (...args: A) => R;
export function valueAndGrad<P, A extends readonly unknown[]>(
  f: (params: P, ...args: A) => JaxArray,
): (params: P, ...args: A) => [JaxArray, P];
export function vjp(
  f: (...args: JaxArray[]) => JaxArray,
  primals: JaxArray[],
): [JaxArray, (cotangent: JaxArray) => JaxArray[]];

export const tree: { ref<T>(tree: T): T; dispose(tree: unknown): void };

export const numpy: {
  readonly int32: "int32";
  array(
    values: Float32Array | Int32Array,
    options?: { shape?: number[]; dtype?: "int32" },
  ): JaxArray;
  zeros(shape: number[]): JaxArray;
  matmul(a: JaxArray, b: JaxArray): JaxArray;
  concatenate(arrays: JaxArray[], axis?: number): JaxArray;
  take(a: JaxArray, indices: JaxArray, axis: number): JaxArray;
  split(a: JaxArray, sections: number, axis?: number): JaxArray[];
  max(a: JaxArray, axis?: number | number[]): JaxArray;
  sum(a: JaxArray, axis?: number | number[]): JaxArray;
  mean(a: JaxArray, axis?: number | number[]): JaxArray;
  square(a: JaxArray): JaxArray;
  sqrt(a: JaxArray): JaxArray;
  tanh(a: JaxArray): JaxArray;
};

export const nn: {
  relu(x: JaxArray): JaxArray;
  sigmoid(x: JaxArray): JaxArray;
  logSoftmax(x: JaxArray, axis?: number): JaxArray;
  oneHot(x: JaxArray, classes: number): JaxArray;
};

export const lax: {
  convGeneralDilated(
    x: JaxArray,
    kernel: JaxArray,
    strides: number[],
    padding: "SAME" | "VALID",
  ): JaxArray;
};
