import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateShapes } from "../../src/data/shapes";
import { readCheckpoint } from "../../src/train/checkpoint";
import type { DoneEvent, StartEvent } from "../../src/train/events";
import { eventsOf, openTerminal } from "./terminal";

const { box, hyperloom, close } = openTerminal("cifar");
const data = join(box, "data");

/** CIFAR-10 records with shapes for pictures. */
function records(count: number, from: number): Uint8Array {
  const { images, labels } = generateShapes({ count, seed: 0, from });
  const bytes = new Uint8Array(count * 3073);
  for (let i = 0; i < count; i++) {
    bytes[3073 * i] = labels[i] as number;
    bytes.set(images.subarray(3072 * i, 3072 * (i + 1)), 3073 * i + 1);
  }
  return bytes;
}

beforeAll(() => {
  mkdirSync(data);
  writeFileSync(join(data, "data_batch_1.bin"), records(60, 0));
  writeFileSync(join(data, "test_batch.bin"), records(12, 1000));
});
afterAll(close);

describe("train cifar10", () => {
  const base = () => ["train", "cifar10", "--data", data, "--model", "hyper-wrn-10-1", "--nz", "8"];

  test("trains on the first images alone, keeps statistics, resumes, is measured by eval", () => {
    const flags = ["--limit", "20", "--batch", "5", "--l2", "1e-4", "--augment"];
    const whole = hyperloom(...base(), ...flags, "--steps", "3", "--json", "-", "--out", "whole");
    expect(whole.status, whole.stderr).toBe(0);
    const said = eventsOf(whole.stdout);
    const start = said.find((event) => event.event === "start") as StartEvent;
    expect(start.data).toMatchObject({ train: 20, validation: 6, test: 12 });
    expect(start.data.source).toMatch(/^CIFAR-10 from .*60 training images of 50,000/);
    expect(start.settings).toMatchObject({
      task: "cifar10",
      augment: true,
      memory: "normal",
      model: { name: "hyper-wrn", options: { depth: 10, width: 1, nz: 8, d: 8, l2: 1e-4 } },
    });
    const { metrics } = said.at(-1) as DoneEvent;
    expect(metrics).toMatchObject({ train_samples: 20, test_samples: 12, steps: 3 });
    // Σ p (1 − p) / n, as of any share.
    const { test_error: error = Number.NaN, test_standard_error: spread } = metrics;
    expect(spread).toBeCloseTo(Math.sqrt((error * (1 - error)) / 12), 12);

    const part = hyperloom(...base(), ...flags, "--steps", "2", "--out", "part");
    expect(part.status, part.stderr).toBe(0);
    expect(part.stdout).toContain(
      `npx hyperloom train cifar10 --data ${data} --resume part --steps 4`,
    );
    const resume = ["train", "cifar10", "--data", data, "--resume", "part"];
    const other = hyperloom(...resume, "--limit", "30", "--steps", "3", "--out", "other");
    expect(other.stderr).toMatch(/--limit 30 is not what .* was trained with \(20\)/);
    const rest = hyperloom(...resume, "--steps", "3", "--out", "rest");
    expect(rest.status, rest.stderr).toBe(0);
    const [a, b] = ["whole", "rest"].map((folder) => {
      const file = join(box, folder, "checkpoint.safetensors");
      return readCheckpoint(readFileSync(file), folder).tensors;
    });
    expect(b).toEqual(a);

    const measured = hyperloom("eval", "whole", "--data", data, "--json", "-");
    expect(measured.status, measured.stderr).toBe(0);
    expect((eventsOf(measured.stdout).at(-1) as DoneEvent).metrics.test_error).toBe(error);
  });

  test("flags that do not fit are refused in one line, before there is any work", () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["--model", "wrn-41-1"], /wrn-41-1.*6n \+ 4/],
      [["--model", "hyper-wrn"], /which depth and width/],
      [["--model", "lstm"], /cifar10 has no model lstm; .*shared-wrn-D-K/],
      [["--model", "wrn-10-1", "--nz", "8"], /--nz is nothing that wrn-10-1 has/],
      [["--preset", "notebook"], /no preset notebook; it has quick, paper/],
      [["--limit", "0"], /--limit/],
      [["--limit", "1000"], /1000.*54/],
      [["--model", "hyper-cnn", "--memory", "low"], /--memory low is for residual networks/],
      [["--hidden", "8"], /--hidden is a flag of text/],
      [["--memory", "little"], /--memory/],
      [["--l2", "-1"], /--l2/],
    ];
    for (const [flags, reason] of cases) {
      const refused = hyperloom("train", "cifar10", "--data", data, ...flags, "--out", "refused");
      expect(refused.stderr).toMatch(/^hyperloom: [^\n]+\n$/);
      expect(refused.stderr).toMatch(reason);
      expect(refused.status).toBe(2);
      expect(existsSync(join(box, "refused"))).toBe(false);
    }
  });
});

test("info says what generation saves, and the largest binding of a plan", () => {
  const { stdout, status } = hyperloom("info", "hyper-wrn-40-2", "--batch", "128");
  expect(status).toBe(0);
  expect(stdout).toContain("direct 9,866, embeddings 61,824, generator 75,920");
  expect(stdout).toContain("93.40 % of the plain network's 2,235,530 parameters");
  expect(hyperloom("info", "hyper-wrn-10-1").stdout).toMatch(/added +5.61 % of the plain network/);
  expect(hyperloom("info", "wrn-10-1", "--limit", "5").stderr).toMatch(/unknown option '--limit'/);
  expect(stdout).toMatch(/planned, largest binding [\d.]+ MB \(batch 128\)/);
  const bytes = (memory: string): number => {
    const told = hyperloom("info", "hyper-wrn-40-2", "--memory", memory, "--json", "-");
    const info = JSON.parse(told.stdout) as { plans: { train: { bytes: number } }[] };
    return info.plans[0]?.train.bytes ?? Number.NaN;
  };
  expect(bytes("low")).toBeLessThan(0.75 * bytes("normal"));
});
