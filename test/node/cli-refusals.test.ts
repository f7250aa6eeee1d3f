import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cli, openTerminal, writeDigits } from "./terminal";

const { box, environment, hyperloom, close } = openTerminal("refusals");
const data = writeDigits(join(box, "data"));

beforeAll(() => {
  const flags = ["--data", data, "--steps", "5", "--batch", "16", "--out", "first"];
  expect(hyperloom("train", "mnist", ...flags).status).toBe(0);
});
afterAll(close);

describe("bad input ends with status 2 and one line", () => {
  const damage: Readonly<Record<string, readonly [file: string, change: (file: string) => void]>> =
    {
      missing: ["train-labels-idx1-ubyte", (file) => rmSync(file)],
      truncated: [
        "t10k-images-idx3-ubyte",
        (file) => writeFileSync(file, readFileSync(file).subarray(0, 5000)),
      ],
      "wrong magic": [
        "train-images-idx3-ubyte",
        (file) => writeFileSync(file, readFileSync(file).fill(9, 0, 4)),
      ],
      "label out of range": [
        "t10k-labels-idx1-ubyte",
        (file) => writeFileSync(file, readFileSync(file).fill(10, 20, 21)),
      ],
    };

  function expectRefused(args: readonly string[], reason: RegExp): void {
    const { status, stdout, stderr } = hyperloom(...args);
    expect(stderr).toMatch(/^hyperloom: [^\n]+\n$/);
    expect(stderr).toMatch(reason);
    expect(stdout).toBe("");
    expect(status).toBe(2);
    expect(existsSync(join(box, "refused"))).toBe(false);
  }

  test("data files", () => {
    for (const [name, [file, change]] of Object.entries(damage)) {
      const folder = writeDigits(join(box, `data ${name}`));
      change(join(folder, file));
      expectRefused(["train", "mnist", "--data", folder, "--out", "refused"], new RegExp(file));
    }
    expectRefused(["train", "mnist", "--data", "nowhere", "--out", "refused"], /nowhere/);
  });

  test("flags, folders and files", () => {
    const train = ["train", "mnist", "--data", data];
    writeFileSync(join(box, "file"), "");
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [[...train, "--stepz", "3"], /--stepz.*--steps/],
      [[...train, "--steps", "0"], /--steps/],
      [[...train, "--lr", "fast"], /--lr/],
      [[...train, "--epochs", "1", "--steps", "1"], /--epochs/],
      [[...train, "--model", "transformer"], /hyper-cnn/],
      [["train", "cifar"], /mnist/],
      [["frobnicate"], /frobnicate/],
      [["info", "hyper"], /hyper-cnn/],
      [[...train, "--out", "file"], /file/],
      [[...train, "--out", "file/folder"], /file/],
      [[...train, "--out", "/proc/folder"], /proc/],
      // A folder that is there and empty, and takes no file from anybody.
      [[...train, "--out", "/proc/tty/ldisc"], /ldisc cannot be written to/],
      // More than any device's buffers hold, known before anything is allocated.
      [
        [...train, "--batch", "1000000", "--out", "refused"],
        /(maxStorageBufferBindingSize|maxBufferSize|maxBytes).* is \d+, \d+ needed; /,
      ],
      [[...train, "--json", "nowhere/x.jsonl", "--out", "refused"], /nowhere/],
      [["eval", "nothing"], /nothing/],
      [["inspect", "nothing", "--png", "w.png"], /nothing/],
      [["inspect", "hyper-wrn", "--png", "w.png"], /depth and width/],
      [["inspect", "cnn", "--png", "w.png", "--nz", "4"], /cnn.*nz/],
      [["inspect", "cnn", "--png", "w.png", "--hidden", "4"], /--hidden/],
      [["inspect", "cnn", "hyper-cnn", "--png", "w.png"], /one model/],
      [["inspect", "cnn", "--png", "w.png", "--gradients"], /--gradients.*--png/],
      [["inspect", "cnn", "--png", "w.png", "--layers", "conv3"], /conv3.*1 conv1, 2 conv2/],
      [["inspect", "cnn", "--png", "nowhere/w.png"], /nowhere/],
    ];
    for (const [args, reason] of cases) expectRefused(args, reason);
  });

  test("--json says nothing, and keeps what the file held", () => {
    const refused = ["train", "mnist", "--data", "nowhere", "--out", "refused"];
    expectRefused([...refused, "--json", "-"], /nowhere/);
    writeFileSync(join(box, "kept.jsonl"), '{"event":"before"}\n');
    expectRefused([...refused, "--json", "kept.jsonl"], /nowhere/);
    expect(readFileSync(join(box, "kept.jsonl"), "utf8")).toBe('{"event":"before"}\n');
    const late = ["train", "mnist", "--data", data, "--batch", "1000000", "--out", "refused"];
    expectRefused([...late, "--json", "kept.jsonl"], /needed/);
    expect(readFileSync(join(box, "kept.jsonl"), "utf8")).toBe('{"event":"before"}\n');
  });

  test("no adapter", () => {
    const environmentOf = { ...environment, VK_ICD_FILENAMES: join(box, "none.json") };
    const args = [cli, "train", "mnist", "--data", data, "--runtime", "node", "--out", "refused"];
    const { status, stderr } = spawnSync(process.execPath, args, {
      cwd: box,
      encoding: "utf8",
      env: environmentOf,
    });
    expect(stderr).toMatch(/^hyperloom: Node finds no adapter; [^\n]+\n$/);
    expect(status).toBe(2);
    expect(existsSync(join(box, "refused"))).toBe(false);
  });

  test("checkpoints", () => {
    const train = ["train", "mnist", "--data", data];
    const file = join(box, "first/checkpoint.safetensors");
    const before = readFileSync(file);
    writeFileSync(join(box, "short.safetensors"), before.subarray(0, before.length >> 1));
    const resume = [...train, "--out", "refused", "--resume"];
    expectRefused(["eval", "short.safetensors", "--data", data], /short.safetensors/);
    expectRefused([...resume, "short.safetensors"], /short.safetensors/);
    expectRefused([...resume, "first", "--model", "cnn"], /--model cnn.*hyper-cnn/);
    expectRefused([...resume, "first", "--batch", "32"], /--batch 32.*16/);
    expectRefused([...resume, "first"], /step 5 of 5/);
    const other = writeDigits(join(box, "other data"));
    const images = join(other, "train-images-idx3-ubyte");
    writeFileSync(images, readFileSync(images).fill(1, 16, 17));
    expectRefused(
      ["train", "mnist", "--data", other, "--out", "refused", "--resume", "first", "--steps", "6"],
      /was trained on/,
    );
    expectRefused(["eval", join(data, "t10k-labels-idx1-ubyte"), "--data", data], /safetensors/);
    expectRefused(["inspect", "first", "--gradients"], /hyper-cnn.*--png/);
    expectRefused(["inspect", "first", "--png", "w.png", "--nz", "8"], /--nz.*fresh/);
    expect(readFileSync(file)).toEqual(before);
  });
});
