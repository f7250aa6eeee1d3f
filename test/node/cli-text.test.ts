import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embeddedText } from "../../src/data/embedded-text";
import { ptbNames } from "../../src/data/text";
import type { DoneEvent, EvalEvent, RunEvent } from "../../src/train/events";
import { doneOf, eventsOf, openTerminal, type Ran } from "./terminal";

const text = embeddedText({ length: 3000, seed: 5 }).slice(0, 3000);
const tiny = ["--hidden", "8", "--batch", "4", "--seq", "8", "--steps", "6"];
const { box, hyperloom, checkpointOf, close } = openTerminal("text");
/** What the run in the folder "idle" said: one step of an LSTM, given flags that it does not have. */
let idle: Ran;

/** A run that must succeed, and its events. */
function events(...args: readonly string[]): RunEvent[] {
  const { status, stdout, stderr } = hyperloom(...args, "--json", "-");
  expect(status, stderr).toBe(0);
  return eventsOf(stdout);
}

const metricsOf = (ran: readonly RunEvent[]): DoneEvent["metrics"] => doneOf(ran).metrics;
const evaluations = (ran: readonly RunEvent[]): EvalEvent[] =>
  ran.filter((event) => event.event === "eval");
beforeAll(() => {
  writeFileSync(join(box, "text.txt.gz"), gzipSync(text));
  const args = ["train", "text", "--data", "text.txt.gz", ...tiny, "--steps", "1"];
  idle = hyperloom(...args, "--model", "lstm", "--hyper", "4", "--nz", "2", "--out", "idle");
});
afterAll(close);

describe("train text", () => {
  const model = ["--model", "ln-hyperlstm", "--hyper", "4", "--nz", "2", "--seed", "1"];
  const train = ["train", "text", "--data", "text.txt.gz", ...model, ...tiny];
  let whole: RunEvent[];

  beforeAll(() => {
    whole = events(...train, "--out", "whole");
  });

  test("one command compares models: flags of a hyper cell are left aside by those without one", () => {
    const { status, stderr } = idle;
    expect(status).toBe(0);
    expect(stderr).toContain("lstm has no hyper cell: --hyper, --nz left aside");
  });

  test("counts characters, and measures bits on the last tenth once", () => {
    const start = whole.find((event) => event.event === "start");
    expect(start).toMatchObject({
      unit: "characters",
      data: { source: "text from text.txt.gz", train: 2700, validation: 300, test: 300 },
      settings: { batch: 4, seq: 8, chunk: 8, seed: 1, model: { name: "ln-hyperlstm" } },
      steps: 6,
    });
    const steps = whole.filter((event) => event.event === "step");
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(steps.every(({ charactersPerSecond: speed = 0 }) => speed > 0)).toBe(true);
    // Before training nothing is known but the number of symbols.
    const symbols = new Set(text).size;
    expect(steps[0]?.loss).toBeCloseTo(Math.log(symbols), 0);
    const [validation, ...more] = evaluations(whole);
    expect(more).toEqual([]);
    expect(validation).toMatchObject({ split: "validation", step: 6, samples: 299 });
    expect(validation?.bits_per_character).toBeCloseTo((validation?.loss ?? 0) / Math.LN2, 10);
    expect(metricsOf(whole)).toMatchObject({
      bits_per_character: validation?.bits_per_character,
      train_samples: 2700,
      test_samples: 300,
      steps: 6,
    });
  });

  test("leaves a checkpoint with vocabulary, gate order, every option and the states", () => {
    expect(readdirSync(join(box, "whole")).sort()).toEqual([
      "best.safetensors",
      "checkpoint.safetensors",
      "log.jsonl",
      "loss.svg",
    ]);
    const { model, data, tensors, settings } = checkpointOf("whole");
    expect(model).toEqual({
      name: "ln-hyperlstm",
      options: {
        symbols: new Set(text).size,
        outputs: new Set(text).size,
        hidden: 8,
        layers: 1,
        keepInput: 1,
        keepOutput: 1,
        gates: "ifgo",
        forgetBias: 1,
        keepRecurrent: 1,
        hyper: 4,
        nz: 2,
        init: "broken",
        source: "fresh",
        keepHyper: 1,
        eps: 1e-5,
      },
    });
    const bytes = [...new Set(Buffer.from(text))].sort((a, b) => a - b);
    expect(data.vocabulary).toEqual({ kind: "bytes", symbols: bytes });
    expect(settings).toMatchObject({ task: "text", seq: 8, lr: 0.005, clip: 1 });
    const carried = [...tensors].filter(([name]) => name.startsWith("carried."));
    expect(carried.map(([name, { shape }]) => [name, shape])).toEqual([
      ["carried.c", [4, 8]],
      ["carried.h", [4, 8]],
      ["carried.hyper.c", [4, 4]],
      ["carried.hyper.h", [4, 4]],
    ]);
    for (const [, { data }] of carried) expect(data.some((v) => v !== 0)).toBe(true);
  });

  test("goes on from its middle bit for bit", () => {
    events(...train, "--steps", "3", "--out", "half");
    const args = ["train", "text", "--data", "text.txt.gz", "--resume", "half"];
    const rest = events(...args, "--steps", "6", "--out", "rest");
    const [a, b] = [checkpointOf("whole"), checkpointOf("rest")];
    expect(b.step).toBe(6);
    expect(Object.fromEntries(b.tensors)).toEqual(Object.fromEntries(a.tensors));
    expect(metricsOf(rest)).toEqual(metricsOf(whole));
  });

  test("is measured by eval with the same result", () => {
    const { bits_per_character: bits } = metricsOf(whole);
    for (const part of ["test", "validation"]) {
      const found = metricsOf(events("eval", "whole", "--data", "text.txt.gz", "--part", part));
      expect(found.bits_per_character).toBe(bits);
      expect(found[`${part}_samples`]).toBe(300);
    }
  });

  test("writes what the seed says, and a trace of the scales", () => {
    const write = (seed: string, ...more: string[]) =>
      hyperloom("sample", "whole", "--prompt", "the ", "--length", "30", "--seed", seed, ...more);
    const first = write("1");
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toMatch(/^the /);
    expect(first.stdout.length).toBe("the ".length + 30 + 1);
    expect(write("1").stdout).toBe(first.stdout);
    expect(write("2").stdout).not.toBe(first.stdout);
    expect(write("3", "--temperature", "0").stdout).toBe(write("4", "--temperature", "0").stdout);
    expect(write("1", "--trace", "changes").stdout).toBe(first.stdout);
    const { trace } = JSON.parse(readFileSync(join(box, "changes.json"), "utf8")) as {
      trace: { character: string; changes: { d: Record<"h" | "x" | "b", object> } }[];
    };
    expect(trace.map(({ character }) => character).join("")).toBe(first.stdout.slice(0, 33));
    for (const { changes } of trace.slice(1)) {
      expect(Object.keys(changes.d)).toEqual(["h", "x", "b"]);
      expect(Object.keys(changes.d.h)).toEqual(["i", "f", "g", "o"]);
      for (const value of Object.values(changes.d.h)) expect(value).toBeGreaterThan(0);
    }
    expect(readFileSync(join(box, "changes.svg"), "utf8")).toMatch(/^<svg xmlns="http/);
  });

  test("shows how far its loss reaches back", () => {
    const { status, stdout } = hyperloom(
      ...["inspect", "whole", "rnn", "--hidden", "8", "--gradients", "--length", "5"],
      ...["--svg", "norms.svg", "--json", "-"],
    );
    expect(status).toBe(0);
    const { curves } = JSON.parse(stdout) as { curves: { label: string; norms: number[] }[] };
    expect(curves.map(({ label }) => label)).toEqual(["ln-hyperlstm, step 6", "rnn (fresh)"]);
    for (const { norms } of curves) {
      expect(norms.length).toBe(5);
      for (const norm of norms) expect(norm).toBeGreaterThan(0);
    }
    expect(readFileSync(join(box, "norms.svg"), "utf8")).toMatch(/^<svg[^>]* xmlns="http/);
  });
});

test("every model of sequences trains, in chunks and layers and with dropout where it has it", () => {
  const data = ["--data", "text.txt.gz"];
  const chosen: readonly (readonly string[])[] = [
    ["rnn", "--layers", "2", "--keep", "0.9"],
    ["lstm", "--chunk", "3", "--keep-recurrent", "0.8"],
    ["ln-lstm", "--keep-input", "0.9", "--chunk", "4"],
    ["gru", "--keep-output", "0.9"],
    ["hyperrnn", "--hyper", "4", "--nz", "2", "--init", "paper"],
    ["hyperlstm", "--hyper", "4", "--nz", "2", "--keep", "0.9", "--layers", "2"],
  ];
  for (const [model = "", ...more] of chosen) {
    const args = ["train", "text", ...data, "--model", model, ...tiny, "--steps", "2", ...more];
    expect(metricsOf(events(...args)).bits_per_character).toBeLessThan(9);
  }
});

test("ptb and enwik8 are read as theirs, the embedded text where there is none, and that is said", () => {
  for (const [k, name] of ptbNames.entries()) {
    const part = [...text.slice(1000 * k, 1000 * (k + 1))];
    const symbols = part.map((c) => ({ " ": "_", "\n": "\n" })[c] ?? "etaoin"[c.charCodeAt(0) % 6]);
    writeFileSync(join(box, name), symbols.map((c) => `${c} `).join(""));
  }
  const small = [...tiny, "--steps", "2", "--model", "lstm"];
  const ptb = metricsOf(events("train", "ptb", "--data", ".", ...small));
  expect(ptb).toMatchObject({ train_samples: 1000, validation_samples: 1000, test_samples: 1000 });
  expect(ptb.bits_per_character).not.toBe(ptb.validation_bits_per_character);
  const enwik8 = metricsOf(events("train", "enwik8", "--data", "text.txt.gz", ...small));
  expect(enwik8).toMatchObject({ train_samples: 2700, validation_samples: 150, test_samples: 150 });

  const { status, stdout, stderr } = hyperloom(
    ...[
      "train",
      "text",
      ...small,
      "--steps",
      "1",
      "--batch",
      "64",
      "--seq",
      "64",
      "--out",
      "tales",
    ],
  );
  expect(status).toBe(0);
  expect(stderr).toMatch(/embedded/);
  expect(stdout).toMatch(/npx hyperloom sample tales/);
});

test("recall trains and is evaluated on sequences of its own", () => {
  const args = ["--delay", "5", "--hidden", "8", "--batch", "100", "--steps", "3"];
  const ran = events("train", "recall", ...args, "--out", "recall");
  expect(ran.find((event) => event.event === "start")).toMatchObject({
    unit: "sequences",
    settings: { delay: 5, seq: 6, model: { name: "lstm" } },
  });
  const { accuracy = 0, test_error: error = 1, test_samples } = metricsOf(ran);
  expect(test_samples).toBe(2000);
  expect(accuracy).toBeCloseTo(1 - error, 12);
  expect(metricsOf(events("eval", "recall")).accuracy).toBe(accuracy);
  expect(hyperloom("sample", "recall")).toMatchObject({
    status: 2,
    stdout: "",
    stderr: expect.stringMatching(/^hyperloom: [^\n]*vocabulary[^\n]*\n$/),
  });
});

test("info counts the paper's parameters and plans its step within the default limits", () => {
  const { status, stdout } = hyperloom(
    ...["info", "ln-hyperlstm", "--task", "ptb", "--preset", "paper", "--json", "-"],
  );
  expect(status).toBe(0);
  const { parameters, plans } = JSON.parse(stdout) as {
    parameters: Record<string, number>;
    plans: { chunk: number; train: { bytes: number; largest: number; submits: number } }[];
  };
  expect(parameters.total).toBe(4_923_154);
  expect(plans.length).toBe(2);
  for (const { train } of plans) {
    expect(train.bytes).toBeLessThanOrEqual(0.6e9);
    expect(train.largest).toBeLessThanOrEqual(128 * 2 ** 20);
  }
});

describe("bad input ends with status 2 and one line", () => {
  function expectRefused(args: readonly string[], reason: RegExp): void {
    const { status, stdout, stderr } = hyperloom(...args);
    expect(stderr).toMatch(/^hyperloom: [^\n]+\n$/);
    expect(stderr).toMatch(reason);
    expect(stdout).toBe("");
    expect(status).toBe(2);
    expect(existsSync(join(box, "refused"))).toBe(false);
  }

  test("flags and files", () => {
    const train = ["train", "text", "--data", "text.txt.gz", "--out", "refused"];
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["train", "text", "--data", "nowhere.txt", "--out", "refused"], /nowhere.txt/],
      [["train", "ptb", "--out", "refused"], /ptb/],
      [[...train, "--seq", "5000"], /5000.*--seq/],
      [[...train, "--batch", "4000"], /--batch/],
      [[...train, "--model", "cnn"], /cnn.*ln-hyperlstm/],
      [[...train, "--model", "rnn", "--keep-recurrent", "0.5"], /--keep-recurrent.*rnn.*--hidden/],
      [[...train, "--keep", "1.5"], /--keep/],
      [[...train, "--chunk", "0"], /--chunk/],
      [[...train, "--delay", "3"], /--delay.*recall/],
      [[...train, "--preset", "notebook"], /notebook.*quick/],
      [["train", "mnist", "--hidden", "3", "--out", "refused"], /--hidden.*mnist/],
      [["train", "mnist", "--model", "lstm", "--out", "refused"], /lstm.*hyper-cnn/],
      [["train", "recall", "--data", "text.txt.gz", "--out", "refused"], /--data.*recall/],
      [["train", "recall", "--seq", "9", "--out", "refused"], /--seq/],
      [["inspect", "lstm"], /--gradients/],
      [["inspect", "cnn", "--gradients"], /cnn.*--png/],
      [["inspect", "lstm", "--png", "w.png"], /lstm.*--gradients/],
      [["inspect", "lstm", "--gradients", "--layers", "1,2"], /--layers 1,2/],
      [["info", "rnn", "--task", "mnist"], /rnn/],
    ];
    for (const [args, reason] of cases) expectRefused(args, reason);
  });

  test("checkpoints", () => {
    writeFileSync(join(box, "other.txt"), text.replaceAll("e", "E"));
    const resume = ["--resume", "idle", "--data", "text.txt.gz", "--out", "refused"];
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["train", "text", ...resume], /step 1 of 1/],
      [["train", "text", ...resume, "--steps", "9", "--hidden", "16"], /--hidden 16.*8/],
      [["train", "text", ...resume, "--steps", "9", "--seq", "16"], /--seq 16.*8/],
      [["train", "text", ...resume, "--steps", "9", "--nz", "2"], /--nz 2/],
      [["train", "enwik8", ...resume, "--steps", "9"], /text.*enwik8/],
      [["train", "mnist", "--resume", "idle", "--out", "refused"], /text.*mnist/],
      [
        ["train", "text", "--resume", "idle", "--data", "other.txt", "--steps", "9"],
        /was trained on/,
      ],
      [["eval", "idle", "--data", "other.txt"], /symbols/],
      [["sample", "idle", "--prompt", "é"], /--prompt/],
      [["sample", "idle", "--prompt", ""], /--prompt/],
      [["sample", "idle", "--trace", "t"], /lstm.*scales/],
      [["sample", "nothing"], /nothing/],
      [["inspect", "idle", "--png", "w.png"], /lstm.*--gradients/],
    ];
    for (const [args, reason] of cases) expectRefused(args, reason);
  });
});
