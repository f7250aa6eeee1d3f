/** Trains the generator, and draws with the networks that it makes. */
import {
  adam,
  CheckpointError,
  compile,
  countParameters,
  type Device,
  exponentialRate,
  meanSquaredError,
  prediction,
  readCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
  slabsOf,
  trainStep,
  Variables,
} from "hyperloom";
import type { Tensors } from "../shell/film";
import { readTensors } from "../shell/tensors";
import { type CommonSettings, type Session, trainer } from "../shell/trainer";
import { flowerOf, flowerPicture, pixels } from "./flowers";
import { drawable, trainable } from "./model";
import {
  COARSE,
  countWeights,
  GRID,
  modelOf,
  SIZES,
  settingsOf,
  type SizeName,
  type Sizes,
} from "./network";
import { batchAt, testConditions } from "./samples";

/** What the page asks for. */
export interface FamilySettings extends CommonSettings {
  readonly seed: number;
  readonly size: string;
  readonly steps: number;
}

/** What is to be drawn: a generator's parameters, and conditions of three numbers each. */
export interface Drawn {
  readonly tensors: Tensors;
  /** Of one network, drawn large. */
  readonly mine: Float32Array<ArrayBuffer>;
  /** Of the grid's networks; null: not wanted. */
  readonly family: Float32Array<ArrayBuffer> | null;
}

/** Pixels of each network's picture, and how long it took from here to the GPU and back. */
export interface Drawing {
  readonly mine: Float32Array;
  readonly family: Float32Array | null;
  /** Pixels of a picture's side: of the large one, and of the grid's. */
  readonly side: number;
  readonly tile: number;
  readonly milliseconds: number;
}

interface FamilySession extends Session {
  draw(wish: Drawn): Promise<Drawing>;
}

interface Drawer {
  draw(tensors: Tensors, conditions: Float32Array<ArrayBuffer>): Promise<Float32Array>;
  dispose(): void;
}

/** Draws `count` conditions' pictures at once, with parameters that are given each time. */
async function drawer(device: Device, sizes: Sizes, side: number, count: number): Promise<Drawer> {
  const model = drawable(sizes, pixels(side));
  const variables = new Variables(device);
  const executable = await compile(device, prediction(model, { batch: count }), { variables });
  const { variable } = slabsOf(model).parameters;
  const slab = new Float32Array(variable.shape[0] ?? 0);
  let last: Promise<unknown> = Promise.resolve();
  const draw: Drawer["draw"] = async (tensors, conditions) => {
    for (const { name, offset } of variable.entries) {
      slab.set(tensors[name] as Float32Array, offset);
    }
    variables.write(variable, slab);
    const { y } = await executable.run({ x: conditions });
    return y as Float32Array;
  };
  return {
    // One after the other: parameters are written before each.
    draw(tensors, conditions) {
      const drawn = last.then(() => draw(tensors, conditions));
      last = drawn.catch(() => undefined);
      return drawn;
    },
    dispose() {
      executable.dispose();
      variables.dispose();
    },
  };
}

/** Both drawers, compiled at the first picture: training begins sooner without them. */
function drawers(device: Device, sizes: Sizes) {
  const { side, tile } = device.adapter.software ? COARSE : sizes;
  let made: Promise<{ one: Drawer; grid: Drawer }> | null = null;
  let over = false;
  const make = async (): Promise<{ one: Drawer; grid: Drawer }> => {
    const [one, grid] = await Promise.all([
      drawer(device, sizes, side, 1),
      drawer(device, sizes, tile, GRID * GRID),
    ]);
    if (over) {
      for (const each of [one, grid]) each.dispose();
      throw new Error("the run was ended");
    }
    ready = [one, grid];
    return { one, grid };
  };
  let ready: readonly Drawer[] = [];
  return {
    side,
    tile,
    get(): Promise<{ one: Drawer; grid: Drawer }> {
      made ??= make();
      return made;
    },
    /** After what is being compiled, whether or not it can be. */
    settled: async (): Promise<void> => {
      await made?.catch(() => undefined);
    },
    dispose(): void {
      over = true;
      for (const each of ready) each.dispose();
    },
  };
}

async function open(
  device: Device,
  asked: FamilySettings,
  from: Uint8Array<ArrayBuffer> | null,
  name: string,
): Promise<FamilySession> {
  const checkpoint = from && readCheckpoint(from, name);
  const size = (checkpoint?.model.options.size ?? asked.size) as SizeName;
  const sizes = SIZES[size];
  if (checkpoint && (checkpoint.model.name !== "family" || !sizes)) {
    const reason = `it is of the model ${checkpoint.model.name}, this page trains a family`;
    throw new CheckpointError(checkpoint.file, reason);
  }
  const seed = checkpoint?.seed ?? asked.seed;
  const planned = Number(checkpoint?.settings.steps ?? 0);
  const over = checkpoint !== null && checkpoint.step >= planned;
  const steps = !checkpoint ? asked.steps : over ? checkpoint.step + asked.steps : planned;
  const model = trainable(sizes);
  const variables = new Variables(device, seed);
  const optimizer = adam({ lr: exponentialRate(sizes.rate, 0.998, 3e-4) });
  const program = trainStep(model, meanSquaredError, optimizer, { batch: sizes.batch });
  if (checkpoint) restoreCheckpoint(checkpoint, variables, [...(program.updates?.keys() ?? [])]);
  const step = await compile(device, program, { variables });
  const drawing = drawers(device, sizes);
  const frame = (): Promise<Tensors> => readTensors(variables, slabsOf(model).parameters);

  return {
    steps,
    step: variables.step,
    batch: sizes.batch,
    learned: countParameters(model.params),
    made: countWeights(sizes),
    about: { size, seed },
    async train() {
      const { x, target } = batchAt(sizes, seed, variables.step);
      const { loss } = await step.run({ x, target });
      return { loss: loss?.[0] ?? Number.NaN };
    },
    frame,
    snapshot: () =>
      saveCheckpoint(variables, {
        model: modelOf(size),
        settings: settingsOf(size, steps),
        optimizer: optimizer.settings,
      }),
    async finish() {
      const samples = GRID * GRID;
      const conditions = testConditions(samples, seed);
      const { grid } = await drawing.get();
      const drawn = await grid.draw(await frame(), conditions);
      const points = pixels(drawing.tile);
      const count = points.length / 2;
      let sum = 0;
      for (let k = 0; k < samples; k++) {
        const flower = flowerOf(conditions.subarray(3 * k, 3 * k + 3));
        for (const [p, want] of flowerPicture(flower, points).entries()) {
          sum += ((drawn[k * count + p] as number) - want) ** 2;
        }
      }
      return { error: sum / drawn.length, samples };
    },
    async draw({ tensors, mine, family }) {
      const { one, grid } = await drawing.get();
      const began = performance.now();
      const all = family && (await grid.draw(tensors, family));
      const own = await one.draw(tensors, mine);
      const milliseconds = performance.now() - began;
      return { mine: own, family: all, side: drawing.side, tile: drawing.tile, milliseconds };
    },
    settled: drawing.settled,
    dispose() {
      drawing.dispose();
      step.dispose();
      variables.dispose();
    },
  };
}

const { handlers, current, serve } = trainer(open);

const own = {
  /** Draws with the networks that given parameters make; one question at a time. */
  draw: (wish: Drawn): Promise<Drawing> => (current() as FamilySession).draw(wish),
};

/** What the page can ask. */
export type FamilyHandlers = typeof handlers & typeof own;

serve(own);
