import type { Target } from "../gpu/dispatch";
import { countParameters } from "../nn/slabs";
import { buildModel, parametersByPart } from "../train/models";
import type { SequenceData } from "../train/sequence-data";
import type { SequenceModelName } from "../train/sequence-models";
import { type SequencePresetName, sequencePresets } from "../train/sequence-presets";
import { type SequenceFlags, sequenceSettings } from "../train/sequence-settings";
import { fitChunk, sequencePrograms } from "../train/sequence-task";
import type { SequenceSettings, SequenceTaskName } from "../train/settings";
import { recallSizes } from "../data/recall";
import { bytes, count, type Output, percent } from "./output";
import { modelSummaries } from "./model-summaries";
import { defaultTarget, type PlanCounts, planCounts } from "./plan-counts";
import { asUsage } from "./errors";

/** Symbols of each task's text, as long as none is looked at: those of PTB, enwik8 and a play. */
const SYMBOLS: Readonly<Record<SequenceTaskName, number>> = {
  text: 65,
  ptb: 50,
  enwik8: 205,
  recall: recallSizes().inputs,
};

/** A task without its text. */
function sizesOnly(task: SequenceTaskName, symbols: number): SequenceData {
  const none = (): never => {
    throw new Error("internal: info reads no data");
  };
  const classes = task === "recall" ? recallSizes().classes : symbols;
  return {
    unit: task === "recall" ? "sequences" : "characters",
    source: task,
    counts: { train: 0, validation: 0, test: 0 },
    sizes: { inputs: symbols, classes },
    vocabulary: null,
    validationIsTest: false,
    identity: none,
    longest: () => Number.MAX_SAFE_INTEGER,
    train: () => ({ perEpoch: 1, count: 1, at: none }),
    whole: none,
  };
}

/** What the user asked about. */
export interface SequenceInfo {
  readonly model: SequenceModelName;
  readonly task: SequenceTaskName;
  readonly preset: SequencePresetName;
  readonly flags: SequenceFlags;
  readonly symbols: number | undefined;
  readonly adapters: readonly Target["adapter"][];
}

interface Planned {
  readonly of: Target["adapter"];
  readonly settings: SequenceSettings;
  readonly train: PlanCounts;
  readonly evaluate: PlanCounts;
}

function planned(asked: SequenceInfo, adapter: Target["adapter"], data: SequenceData): Planned {
  const { flags } = asked;
  const fresh = asUsage(() => sequenceSettings(asked, adapter, data));
  const settings = flags.chunk === undefined ? fitChunk(fresh, defaultTarget(adapter)) : fresh;
  const { step, evaluation } = sequencePrograms(buildModel(settings.model), settings);
  const counts = { train: planCounts(step, adapter), evaluate: planCounts(evaluation, adapter) };
  return { of: adapter, settings, ...counts };
}

/** Prints what a model of sequences is made of, and what its steps cost on a default-limit device. */
export function sequenceInfo(asked: SequenceInfo, output: Output): void {
  const { task, preset, symbols = SYMBOLS[task], adapters } = asked;
  const data = sizesOnly(task, symbols);
  const plans = adapters.map((adapter) => planned(asked, adapter, data));
  const { settings } = plans[0] as Planned;
  const model = buildModel(settings.model);
  const total = countParameters(model.params);
  const parts = Object.entries(parametersByPart(model));
  const line = (p: PlanCounts): string =>
    `${count(p.dispatches)} dispatches in ${p.submits} submit${p.submits > 1 ? "s" : ""}, ` +
    `${bytes(p.bytes)} planned, largest binding ${bytes(p.largest)}`;
  const windows = ({ batch, seq, chunk }: SequenceSettings): string =>
    `${batch} × ${seq}${chunk < seq ? ` in chunks of ${chunk}` : ""}`;
  const rows: [string, string][] = [
    ["model", `${settings.model.name}: ${modelSummaries[settings.model.name]}`],
    ["task", `${task}, preset ${preset}, ${symbols} symbols`],
    [
      "options",
      Object.entries(settings.model.options)
        .map(([k, v]) => `${k} ${v}`)
        .join(", "),
    ],
    ["parameters", count(total)],
    ...parts.map(([part, n]): [string, string] => [
      `  ${part}`,
      `${count(n).padStart(11)}  ${percent(n / total)}`,
    ]),
    ...plans.flatMap(({ of, settings: { ...s }, train, evaluate }): [string, string][] => [
      [`train, ${of}`, `${line(train)} (${windows(s)})`],
      [`evaluate, ${of}`, line(evaluate)],
    ]),
  ];
  for (const [label, value] of rows) output.say(`${label.padEnd(18)} ${value}`);
  output.event({
    event: "info",
    model: settings.model,
    parameters: { total, ...Object.fromEntries(parts) },
    plans: plans.map(({ of, settings: { batch, seq, chunk }, train, evaluate }) => ({
      of,
      batch,
      seq,
      chunk,
      train,
      evaluate,
    })),
  });
}

/** Whether a preset's name is one of sequences. */
export function isSequencePreset(name: string): name is SequencePresetName {
  return Object.hasOwn(sequencePresets, name);
}
