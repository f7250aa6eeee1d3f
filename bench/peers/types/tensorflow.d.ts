/** As much of TensorFlow.js 4.22 as the bench calls; the package itself is installed on demand. */

export interface Tensor {
  readonly shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

export type Variable = Tensor & { readonly trainable: boolean };

export function setBackend(name: string): Promise<boolean>;
export function ready(): Promise<void>;
export function tidy<T>(work: () => T): T;
export function keep<T extends Tensor>(x: T): T;
export function tensor(values: Float32Array | Int32Array, shape: number[], dtype?: "int32"): Tensor;
export function tensor1d(values: Int32Array, dtype: "int32"): Tensor;
export function variable(initial: Tensor): Variable;
export function zeros(shape: number[]): Tensor;
export function add(a: Tensor, b: Tensor): Tensor;
export function mul(a: Tensor, b: Tensor): Tensor;
export function relu(x: Tensor): Tensor;
export function sigmoid(x: Tensor): Tensor;
export function tanh(x: Tensor): Tensor;
export function reshape(x: Tensor, shape: number[]): Tensor;
export function transpose(x: Tensor, axes: number[]): Tensor;
export function concat(xs: Tensor[], axis?: number): Tensor;
export function split(x: Tensor, parts: number, axis?: number): Tensor[];
export function unstack(x: Tensor, axis?: number): Tensor[];
export function slice(x: Tensor, begin: number[], size: number[]): Tensor;
export function gather(x: Tensor, indices: Tensor): Tensor;
export function oneHot(x: Tensor, depth: number): Tensor;
export function matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
export function conv2d(x: Tensor, kernel: Tensor, strides: number, padding: "same"): Tensor;
export function maxPool(x: Tensor, size: number, strides: number, padding: "valid"): Tensor;

export const losses: { softmaxCrossEntropy(oneHot: Tensor, logits: Tensor): Tensor };
export const fused: {
  matMul(args: { a: Tensor; b: Tensor; transposeB: boolean; bias: Tensor }): Tensor;
};
export const train: {
  adam(
    rate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
  ): { minimize(loss: () => Tensor, returnCost: true): Tensor };
};

export const Conv2DBackpropInput: string;
export const Conv2DBackpropFilter: string;
export function engine(): {
  runKernel(name: string, inputs: Record<string, Tensor>, attrs: Record<string, unknown>): Tensor;
};
