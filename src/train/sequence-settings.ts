import type { Target } from "../gpu/dispatch";
import type { JsonObject } from "./events";
import { buildModel, modelDefaults, type ModelSpec, modelSpec } from "./models";
import type { SequenceData } from "./sequence-data";
import type { SequenceModelName } from "./sequence-models";
import { type SequencePresetName, sequencePresets } from "./sequence-presets";
import {
  baseSettings,
  SettingsError,
  type SequenceSettings,
  type SequenceTaskName,
  type TrainFlags,
} from "./settings";

/** Flags that beat a preset in a run on sequences; those of the model by its options' names. */
export interface SequenceFlags extends TrainFlags {
  readonly seq?: number;
  readonly delay?: number;
  /** Steps of a time chunk; absent: as long as the device's bindings allow. */
  readonly chunk?: number;
  readonly hidden?: number;
  readonly hyper?: number;
  readonly nz?: number;
  readonly layers?: number;
  readonly init?: "broken" | "paper";
  /** All of the parts kept that the model has, unless given by themselves. */
  readonly keep?: number;
  readonly keepRecurrent?: number;
  readonly keepInput?: number;
  readonly keepOutput?: number;
}

/** What `keep` stands for. */
export const keepFlags = ["keepRecurrent", "keepInput", "keepOutput"] as const;

/** Flags that are options of a model. */
export const modelFlags = ["hidden", "hyper", "nz", "layers", "init", ...keepFlags] as const;

/** Flags that size a hyper cell, which models without one let pass: one command compares models. */
const hyperFlags = ["hyper", "nz", "init"] as const;

/** The flags given that say nothing to a model, since it has no hyper cell. */
export function idleFlags(name: SequenceModelName, flags: SequenceFlags): string[] {
  const defaults = modelDefaults(name);
  return hyperFlags
    .filter((flag) => flags[flag] !== undefined && !Object.hasOwn(defaults, flag))
    .map(flagOf);
}

/** The flag of an option: `--keep-input` of keepInput. */
export function flagOf(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * A sequence model from a preset's options, those that it has, and flags that beat them.
 * @throws SettingsError for a flag that the model has no use for, or a size that cannot be.
 */
export function sequenceModel(
  name: SequenceModelName,
  preset: JsonObject,
  flags: SequenceFlags,
  sizes: SequenceData["sizes"],
): ModelSpec<SequenceModelName> {
  const defaults = modelDefaults(name);
  const has = (option: string): boolean => Object.hasOwn(defaults, option);
  const options: Record<string, string | number> = {};
  const put = (option: string, value: unknown): void => {
    options[option] = value as string | number;
  };
  for (const [option, value] of Object.entries(preset)) if (has(option)) put(option, value);
  if (flags.keep !== undefined) {
    for (const option of keepFlags.filter(has)) put(option, flags.keep);
  }
  for (const flag of modelFlags) {
    if (flags[flag] === undefined) continue;
    if (!has(flag) && hyperFlags.some((idle) => idle === flag)) continue;
    if (!has(flag)) {
      const known = modelFlags.filter(has).map(flagOf).join(", ");
      throw new SettingsError(`${flagOf(flag)} is nothing that ${name} has; it has ${known}`);
    }
    put(flag, flags[flag]);
  }
  put("symbols", sizes.inputs);
  put("outputs", sizes.classes);
  try {
    const spec = modelSpec(name, options);
    buildModel(spec);
    return spec;
  } catch (error) {
    throw new SettingsError((error as Error).message.replace("hyperloom: ", ""));
  }
}

/** The steps between a symbol and its recall in a run with these flags. */
export function recallDelay(
  preset: SequencePresetName,
  adapter: Target["adapter"],
  flags: SequenceFlags,
): number {
  return flags.delay ?? sequencePresets[preset].recall[adapter].delay ?? 1;
}

/**
 * All settings of a fresh run, from a preset and what beats it; the chunk is all of a window unless
 * it is given.
 * @throws SettingsError for a window longer than the text, or a flag that does not fit the model.
 */
export function sequenceSettings(
  chosen: {
    readonly task: SequenceTaskName;
    readonly model: SequenceModelName;
    readonly preset: SequencePresetName;
    readonly flags: SequenceFlags;
  },
  adapter: Target["adapter"],
  data: SequenceData,
): SequenceSettings {
  const { task, flags } = chosen;
  const preset = sequencePresets[chosen.preset][task][adapter];
  const delay = task === "recall" ? recallDelay(chosen.preset, adapter, flags) : 0;
  const seq = task === "recall" ? delay + 1 : (flags.seq ?? preset.seq);
  const perEpoch = (batch: number): number => {
    const longest = data.longest(batch);
    if (seq <= longest) return data.train({ batch, length: seq, seed: 0 }).perEpoch;
    const each = longest < 1 ? "no symbol is left for each" : `each has ${longest} symbols`;
    throw new SettingsError(
      `windows of ${seq} symbols are longer than the text: cut into ${batch} streams, ${each}; ` +
        "give a smaller --seq or --batch",
    );
  };
  const base = baseSettings(preset, flags, perEpoch);
  perEpoch(base.batch);
  return {
    task,
    preset: chosen.preset,
    model: sequenceModel(chosen.model, preset.model, flags, data.sizes),
    ...base,
    seq,
    chunk: Math.min(flags.chunk ?? seq, seq),
    validation: preset.validation,
    delay,
  };
}
