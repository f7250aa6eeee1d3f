import type { Device } from "../../gpu/device";
import type { Tensor } from "../../graph/node";
import { size } from "../../graph/shape";
import type { ParamSpec, Values } from "../../nn/module";
import { bindSlab, slab } from "../../nn/slabs";
import { fill, mul, square, sub } from "../../ops/elementwise";
import { globalNorm, SCALARS } from "../../ops/optimizer-updates";
import { sum } from "../../ops/reduce";
import { constant, type HostArray, placeholder, read } from "../../ops/sources";
import { pack, unpack } from "../../ops/views";
import { adam, adamW, type Clip, type Optimizer, sgd } from "../../optim/optimizer";
import { compile } from "../../schedule/executable";
import { gradient } from "../../schedule/gradient";
import { Variables } from "../../schedule/variables";
import { momentVariables } from "../../train/programs";
import { type GoldenCase, floats, setting, tensorOf } from "./case";
import type { Evaluate, Results } from "./graph";
import { embeddedKernels } from "./static";

const MOMENTS: Readonly<Record<string, string>> = { m: "m", v: "v", momentum: "buf" };

function clipOf({ hyper }: GoldenCase): { clip?: Clip } {
  if (hyper.clip === null || hyper.clip === undefined) return {};
  const rule = ({ torch: "pytorch", tf: "tensorflow" } as const)[String(hyper.clip_rule)];
  if (!rule) throw new Error(`hyper.clip_rule is ${String(hyper.clip_rule)}, must be torch or tf`);
  return { clip: { norm: Number(hyper.clip), rule } };
}

function optimizerOf(c: GoldenCase): Optimizer {
  const optional = (name: string): number => (c.hyper[name] === undefined ? 0 : setting(c, name));
  const shared = { lr: setting(c, "lr"), weightDecay: optional("weight_decay"), ...clipOf(c) };
  const name = String(c.hyper.optimizer);
  if (name === "sgd_momentum" || name === "sgd_nesterov") {
    const nesterov =
      c.hyper.nesterov === undefined ? name === "sgd_nesterov" : c.hyper.nesterov === true;
    return sgd({ ...shared, momentum: setting(c, "momentum"), nesterov });
  }
  const options = {
    ...shared,
    beta1: setting(c, "beta1"),
    beta2: setting(c, "beta2"),
    eps: setting(c, "eps"),
  };
  if (name === "adam" || name === "adam_l2") return adam(options);
  if (name === "adam_tf") return adam({ ...options, epsPlacement: "tensorflow" });
  if (name === "adamw") return adamW(options);
  throw new Error(
    `hyper.optimizer is ${name}, must be adam, adam_l2, adam_tf, adamw, sgd_momentum or sgd_nesterov`,
  );
}

/** One step as graph: the gradients of all parameters, and the loss that they belong to. */
interface Step {
  readonly gradients: readonly Tensor[];
  readonly loss?: Tensor;
  /** Given anew at every step: `steps` times the tensor's elements. */
  readonly inputs: Readonly<
    Record<string, { readonly tensor: Tensor; readonly data: Float32Array }>
  >;
}

/**
 * Runs `steps` steps of the case's optimiser on the tensors `from`, whose names in `out.p.*` are
 * the keys, as a training step does: one slab of parameters, updates in the step's own submit.
 */
async function optimise(
  device: Device,
  c: GoldenCase,
  from: Readonly<Record<string, string>>,
  steps: number,
  build: (parameters: Values<Record<string, ParamSpec>>) => Step,
): Promise<Results> {
  const optimizer = optimizerOf(c);
  const names = Object.keys(from);
  const params: Record<string, ParamSpec> = {};
  for (const [name, tensor] of Object.entries(from)) {
    const init = (): Float64Array => Float64Array.from(floats(c, tensor));
    params[name] = { shape: tensorOf(c, tensor).shape, init, kind: "weight" };
  }
  const parameters = slab("parameters", params);
  const { tensor, values } = bindSlab(params, parameters);
  const { gradients, loss = fill(0), inputs } = build(values);
  const g = pack(gradients, parameters.layout);
  const scalars = placeholder("scalars", [SCALARS]);
  const moments = momentVariables(parameters.variable, optimizer);
  const updated = optimizer.update(tensor as Tensor, g, moments.map(read), scalars);
  const outputs: Record<string, Tensor> = {
    "out.losses": loss,
    "out.norm": updated.norm ?? globalNorm(g),
  };
  const collect = (prefix: string, from: Tensor): void => {
    for (const [k, value] of unpack(from, parameters.layout).entries()) {
      outputs[`${prefix}.${names[k]}`] = value;
    }
  };
  collect("out.p", updated.parameters);
  for (const [k, moment] of updated.moments.entries()) {
    collect(`mid.${MOMENTS[optimizer.moments[k] ?? ""]}`, moment);
  }
  const updates = new Map([[parameters.variable, updated.parameters]]);
  for (const [k, variable] of moments.entries())
    updates.set(variable, updated.moments[k] as Tensor);
  const variables = new Variables(device);
  const program = {
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.tensor])),
    outputs,
    updates,
    feeds: [{ tensor: scalars, values: optimizer.scalars }],
  };
  const executable = await compile(device, program, { variables });
  const results = new Map<string, HostArray>();
  try {
    const taken = [];
    for (let t = 0; t < steps; t++) {
      const given = Object.entries(inputs).map(([name, { tensor: input, data }]) => {
        const n = size(input.shape);
        return [name, data.subarray(t * n, (t + 1) * n)];
      });
      taken.push(await executable.run(Object.fromEntries(given)));
    }
    for (const name of Object.keys(outputs)) {
      results.set(name, Float32Array.from(taken.flatMap((step) => [...(step[name] ?? [])])));
    }
  } finally {
    executable.dispose();
    variables.dispose();
  }
  return results;
}

/** `optimizer.given_gradients`: parameters `in.p.K` under the gradients `in.g.K` [step, …]. */
export const givenGradients: Evaluate = async (device, c) => {
  const from: Record<string, string> = {};
  for (const name of c.tensors.keys()) if (name.startsWith("in.p.")) from[name.slice(5)] = name;
  const results = await optimise(device, c, from, setting(c, "steps"), () => {
    const inputs = Object.keys(from).map((name) => {
      const [, ...shape] = tensorOf(c, `in.g.${name}`).shape;
      return [
        name,
        { tensor: placeholder(`g.${name}`, shape), data: floats(c, `in.g.${name}`) },
      ] as const;
    });
    return {
      gradients: inputs.map(([, { tensor }]) => tensor),
      inputs: Object.fromEntries(inputs),
    };
  });
  // There is no loss; the file has a zero for it.
  return new Map([...results, ["out.loss", Float32Array.of(0)]]);
};

/**
 * `optimizer.closed_loop`: a static hypernetwork fitted to kernels, loss 1/(2M) Σ (K − target)²;
 * `out.losses` has the loss before each step and after the last.
 */
export const closedLoop: Evaluate = async (device, c) => {
  const from: Record<string, string> = { z: "in.z" };
  for (const name of c.tensors.keys()) if (name.startsWith("param.")) from[name.slice(6)] = name;
  const steps = setting(c, "steps");
  const target = tensorOf(c, "const.target");
  // One step more than asked for: its loss is the one after the last.
  const results = await optimise(device, c, from, steps + 1, (parameters) => {
    const kernel = embeddedKernels(c, (name) => {
      const value = parameters[name.slice(name.indexOf(".") + 1)];
      if (!value) throw new Error(`tensor ${name} is missing`);
      return value;
    });
    const error = sub(kernel, constant(floats(c, "const.target"), target.shape));
    const loss = mul(sum(square(error)), 1 / (2 * setting(c, "M")));
    return { gradients: gradient(loss, Object.values(parameters)), loss, inputs: {} };
  });
  const cut = [...results].map(([name, data]): [string, HostArray] => [
    name,
    name === "out.losses" ? data : data.slice(0, (data.length / (steps + 1)) * steps),
  ]);
  const losses = results.get("out.losses") as Float32Array;
  return new Map([...cut, ["out.loss", losses.slice(0, 1)]]);
};
