/** This run as a program, and as a line for a terminal. */
import { CONDITION, EDGE, EYE, RADIUS } from "./flowers";
import { FREQUENCY, modelOf, SIZES, settingsOf, type SizeName } from "./network";

/** The settings that the program needs. */
export interface Told {
  readonly seed: number;
  readonly steps: number;
  readonly size: SizeName;
}

/** The file that the program is downloaded as. */
export const FILE = "family.mjs";

/** The line that runs the downloaded program; Node takes WebGPU from the package webgpu. */
export const command = (): string => `npm install hyperloom webgpu && node ${FILE}`;

/** A program that trains the same family on the same samples, and keeps it as a file for the page. */
export function program({ seed, steps, size }: Told): string {
  const { width, hidden, batch, points, rate } = SIZES[size];
  const [petals, depth, turn] = CONDITION;
  return `import { writeFileSync } from "node:fs";
import {
  adam, add, compile, dense, exponentialRate, flatGenerator, hyper, matmul, meanSquaredError, module,
  mul, requestDevice, reshape, saveCheckpoint, sin, slice, tanh, trainStep, Variables,
} from "hyperloom";

const [B, P, WIDTH] = [${batch}, ${points}, ${width}]; // networks a step, points of each, units of a layer
const layer = (x, { weight, bias }) =>
  add(matmul(x, weight, { transposeB: true }), reshape(bias, [B, 1, bias.shape[1]]));
const layers = { first: dense(2, WIDTH), second: dense(WIDTH, WIDTH), last: dense(WIDTH, 1) };
const params = Object.fromEntries(Object.entries(layers).map(([name, { params }]) => [name, params]));
const picture = module("picture", params, (_, p, points) => {
  const one = sin(mul(layer(points, p.first), ${FREQUENCY}));
  const two = sin(layer(one, p.second));
  return reshape(tanh(layer(two, p.last)), [B, P]);
});
const generator = flatGenerator(params, { nz: 3, hidden: [${hidden.join(", ")}], conditions: 1 });
const family = hyper(picture, { generator, conditions: 1 });
const net = {
  ...family,
  apply: (context, p, state, x) =>
    family.apply(context, p, state, slice(x, [0, 0], [B, 3]),
      reshape(slice(x, [0, 3], [B, 3 + 2 * P]), [B, P, 2])),
};

/** A flower at a point: the formula that is learned. Conditions are numbers from -1 to 1. */
function flower([c0, c1, c2], x, y) {
  const petals = ${petals.from} + (${petals.to - petals.from} * (c0 + 1)) / 2;
  const depth = ${depth.from} + (${depth.to - depth.from} * (c1 + 1)) / 2;
  const turn = ${turn.from} + (${turn.to - turn.from} * (c2 + 1)) / 2;
  const r = Math.hypot(x, y);
  const angle = Math.atan2(y, x) - Math.PI / 2 + (turn * Math.PI) / 180;
  const [n, share] = [Math.floor(petals), petals % 1];
  const wave = (1 - share) * Math.cos(n * angle) + share * Math.cos((n + 1) * angle);
  return Math.tanh(${EDGE} * (${RADIUS} * (1 + depth * wave) - r)) * Math.tanh(${EDGE} * (r - ${EYE}));
}

/** Random numbers from 0 to 1, the same for the same start. */
function random(start) {
  let counter = start >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let x = counter ^ (counter >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x ^= x >>> 15;
    x = Math.imul(x, 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}

const variables = new Variables(await requestDevice(), ${seed});
const optimizer = adam({ lr: exponentialRate(${rate}, 0.998, 3e-4) });
const shapes = { batch: B, input: [3 + 2 * P] };
const program = trainStep(net, meanSquaredError, optimizer, shapes);
const step = await compile(variables.device, program, { variables });
const start = Math.floor(random(${seed})() * 2 ** 32);
for (let t = 1; t <= ${steps}; t++) {
  const next = random(start + Math.imul(t, 0x85ebca6b)); // each step's own
  const x = new Float32Array(B * (3 + 2 * P)).map(() => 2 * next() - 1);
  const target = new Float32Array(B * P).map((_, k) => {
    const row = x.subarray(Math.floor(k / P) * (3 + 2 * P));
    const at = 3 + 2 * (k % P);
    return flower(row, row[at], row[at + 1]);
  });
  const { loss } = await step.run({ x, target });
  console.log(\`step \${t}: mean squared error \${loss[0].toPrecision(4)}\`);
}
const model = ${JSON.stringify(modelOf(size))};
const settings = ${JSON.stringify(settingsOf(size, steps))};
const about = { model, settings, optimizer: optimizer.settings };
writeFileSync("family.safetensors", await saveCheckpoint(variables, about)); // opens in the page
variables.device.dispose();
`;
}
