/// <reference types="vite/client" />
import source from "../src/hyper/static.ts?raw";
import { drawKernels, drawLoss } from "./draw";
import type { Message, Settings } from "./worker";

/** An element of the page by its id. */
function element<E extends Element = HTMLElement>(id: string): E {
  return document.getElementById(id) as unknown as E;
}

/** Settings in the address, such as #steps=20&batch=8&train=200&test=100&seed=3. */
function settings(): Settings {
  const given = [...new URLSearchParams(location.hash.slice(1))]
    .filter(([name]) => ["steps", "batch", "seed", "train", "test"].includes(name))
    .map(([name, text]) => [name, Number(text)] as const)
    .filter(([name, value]) => Number.isInteger(value) && value >= (name === "seed" ? 0 : 1));
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return { ...Object.fromEntries(given), period: calm ? 5000 : 200 };
}

const show = (id: string, text: string): void => {
  element(id).textContent = text;
};
const percent = (share: number, digits: number): string => `${(100 * share).toFixed(digits)} %`;

/** Where the page is; each state names what the button does next. */
const labels = {
  starting: "Train",
  ready: "Train",
  training: "Pause",
  paused: "Train",
  over: "Train again",
} as const;
type State = keyof typeof labels;

const chosen = settings();
const button = element<HTMLButtonElement>("train");
const progress = element<HTMLProgressElement>("progress");
let state: State;
let worker: Worker;
let steps = 1;
let losses: number[] = [];

function enter(next: State, status: string): void {
  state = next;
  button.disabled = next === "starting";
  button.textContent = labels[next];
  show("status", status);
}

function fail(message: string): void {
  const [before, after] =
    state === "starting"
      ? ["This page cannot train here: ", "."]
      : ["Training stopped: ", ". “Train again” starts over on a new device."];
  worker.terminate();
  show("problem", before + message.replace("hyperloom: ", "") + after);
  enter("over", "");
}

function read(message: Message, train: boolean): void {
  switch (message.kind) {
    case "kernels":
      drawKernels(element("kernels"), message.matrix);
      drawLoss(element("loss"), losses, steps);
      break;
    case "ready": {
      const { vendor, architecture, description, software } = message.adapter;
      const name = [vendor, architecture, description].filter(Boolean).join(" ") || "unnamed";
      const slow = ", a software adapter: no GPU is used, and training takes minutes";
      show("adapter", `Adapter: ${name}${software ? slow : ""}.`);
      show("made", message.made.toLocaleString("en"));
      show("learned", message.learned.toLocaleString("en"));
      steps = progress.max = message.steps;
      drawLoss(element("loss"), losses, steps);
      if (train) enter("training", "Training.");
      else enter("ready", "Ready.");
      break;
    }
    case "step":
      losses.push(message.loss);
      progress.value = message.step;
      show("step", `${message.step}/${steps}`);
      show("nats", message.loss.toFixed(3));
      show("right", percent(message.accuracy, 0));
      show("speed", message.speed > 0 ? message.speed.toFixed(0) : "–");
      break;
    case "testing":
      show("status", `Testing on unseen digits: ${message.done} of ${message.total}.`);
      break;
    case "done":
      enter("over", `Test error ${percent(message.error, 2)} on ${message.samples} unseen digits.`);
      break;
    case "failed":
      fail(message.message);
  }
}

/** A new worker, and so a new device; `train`: without waiting for the button. */
function start(train: boolean): void {
  enter("starting", "Preparing.");
  show("problem", "");
  losses = [];
  progress.value = 0;
  worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<Message>) => read(data, train);
  worker.onerror = (event) => fail(event.message || "its worker did not load");
  worker.postMessage(chosen);
  if (train) worker.postMessage("train");
}

button.onclick = () => {
  if (state === "over") {
    start(true);
  } else if (state === "training") {
    worker.postMessage("pause");
    enter("paused", "Paused.");
  } else {
    worker.postMessage("train");
    enter("training", "Training.");
  }
};
show("source", source);
start(false);
