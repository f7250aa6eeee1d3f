import type { Device } from "../../gpu/device";
import type { Tensor } from "../../graph/node";
import { equal, show } from "../../graph/shape";
import { add, mul } from "../../ops/elementwise";
import { sum } from "../../ops/reduce";
import { type HostArray, placeholder } from "../../ops/sources";
import { compile } from "../../schedule/executable";
import { gradient } from "../../schedule/gradient";
import { type GoldenCase, tensorOf } from "./case";

/** What a kind computes: results by the names that the case's file has for them. */
export type Results = ReadonlyMap<string, HostArray>;

/** A tensor of a case by name, as an input of its graph. */
export type Given = (name: string) => Tensor;

/** The function of a kind. Errors that it throws fail the case. */
export type Evaluate = (device: Device, c: GoldenCase) => Promise<Results>;

/** A computation of a case as graph. */
export interface CaseGraph {
  /** `out.*` and `mid.*` by name; those that the file does not have are left out. */
  readonly values: Readonly<Record<string, Tensor>>;
  /** What was differentiated; default: sum over all `cot.X` of sum(out.X · cot.X). */
  readonly loss?: Tensor;
}

/**
 * The kinds that are one graph: `build` makes it from the case's tensors; the loss, and the
 * gradients that the file asks for by `grad.Y`, are added here.
 */
export function graphKind(build: (c: GoldenCase, given: Given) => CaseGraph): Evaluate {
  return async (device, c) => {
    const inputs: Record<string, Tensor> = {};
    const given: Given = (name) => {
      const { shape, dtype } = tensorOf(c, name);
      if (dtype === "u8") throw new Error(`tensor ${name} is u8, must be f32 or i32`);
      const input = inputs[name] ?? placeholder(name, shape, dtype);
      inputs[name] = input;
      return input;
    };
    const built = build(c, given);
    const loss = built.loss ?? cotangentLoss(c, built.values, given);
    const outputs: Record<string, Tensor> = {};
    for (const [name, value] of Object.entries({ ...built.values, "out.loss": loss })) {
      const stored = c.tensors.get(name);
      if (!stored) continue;
      if (!equal(value.shape, stored.shape)) {
        throw new Error(
          `${name} came out as ${show(value.shape)}, is ${show(stored.shape)} in the file`,
        );
      }
      outputs[name] = value;
    }
    const wrt = new Map<string, Tensor>();
    for (const name of c.tensors.keys()) {
      if (!name.startsWith("grad.")) continue;
      const of = name.slice("grad.".length);
      const tensor = inputs[of] ?? built.values[of];
      if (tensor) wrt.set(name, tensor);
    }
    for (const [k, dx] of gradient(loss, [...wrt.values()]).entries()) {
      outputs[[...wrt.keys()][k] as string] = dx;
    }
    const executable = await compile(device, { inputs, outputs });
    try {
      const data = Object.keys(inputs).map((name) => [name, tensorOf(c, name).data as HostArray]);
      return new Map(Object.entries(await executable.run(Object.fromEntries(data))));
    } finally {
      executable.dispose();
    }
  };
}

function cotangentLoss(
  c: GoldenCase,
  values: Readonly<Record<string, Tensor>>,
  given: Given,
): Tensor {
  let loss: Tensor | undefined;
  for (const name of c.tensors.keys()) {
    if (!name.startsWith("cot.")) continue;
    const out = values[`out.${name.slice("cot.".length)}`];
    if (!out) throw new Error(`${name} has no result`);
    const term = sum(mul(out, given(name)));
    loss = loss ? add(loss, term) : term;
  }
  if (!loss) throw new Error("it has neither a loss nor cotangents");
  return loss;
}
