/** What each place of the spectrum costs and reaches: the board, the slider's labels and the race. */
import { element, percent, whole } from "../shell/frame";
import { called, kernelParameters, STOPS, type Stop } from "./stops";

/** A test's outcome. */
export interface Tested {
  readonly error: number;
  readonly samples: number;
}

/** Standard error of a share. */
const spread = ({ error, samples }: Tested): number => Math.sqrt((error * (1 - error)) / samples);

const html = (stop: Stop): string => (Number(stop) ? `<i>N<sub>z</sub></i> = ${stop}` : stop);

/** Fills `#spectrum` with the slider. @param onMove Told the place that it is moved to. */
export function createSlider(onMove: (stop: Stop) => void): (stop: Stop) => void {
  const parent = element("spectrum");
  const labels = STOPS.map((stop) => `<span>${stop}</span>`).join("");
  parent.innerHTML = `
    <p class="ends" aria-hidden="true"><span>CNN</span>
      <span>hypernetwork, &nbsp;<i>N<sub>z</sub></i></span><span>RNN</span></p>
    <input id="stop" type="range" min="0" max="${STOPS.length - 1}" step="1"
      aria-label="From direct kernels over a generator's N z to one shared kernel" />
    <div class="stops" aria-hidden="true">${labels}</div>`;
  const input = element<HTMLInputElement>("stop");
  const spans = [...parent.querySelectorAll<HTMLElement>(".stops span")];
  input.oninput = () => onMove(STOPS[Number(input.value)] as Stop);
  for (const [k, span] of spans.entries()) span.onclick = () => onMove(STOPS[k] as Stop);
  return (stop) => {
    input.value = `${STOPS.indexOf(stop)}`;
    input.setAttribute("aria-valuetext", called(stop));
    for (const [k, span] of spans.entries()) span.classList.toggle("on", STOPS[k] === stop);
  };
}

/**
 * Fills `#board`: parameters that the kernels come from, against the direct ones, and test errors.
 * @param onChoose Told the place whose row, or button in it, is pressed.
 * @returns What writes the board anew; its buttons stay, and with them the focus.
 */
export function createBoard(
  onChoose: (stop: Stop) => void,
): (chosen: Stop, layers: number, tested: ReadonlyMap<Stop, Tested>) => void {
  const board = element("board");
  const lines = STOPS.map(
    (stop) => `<tr style="--own: var(--stop-${stop})">
      <th scope="row"><button type="button">${html(stop)}</button></th>
      <td><span class="bar"></span></td><td></td><td></td></tr>`,
  );
  board.innerHTML = `<thead><tr><th scope="col"></th><td></td><th scope="col">Parameters</th>
    <th scope="col">Test error</th></tr></thead><tbody>${lines.join("")}</tbody>`;
  const head = board.querySelector("th") as HTMLElement;
  const rows = [...board.querySelectorAll<HTMLTableRowElement>("tbody tr")];
  for (const [k, row] of rows.entries()) row.onclick = () => onChoose(STOPS[k] as Stop);
  return (chosen, layers, tested) => {
    head.textContent = `Kernels of ${layers} layers`;
    const counts = STOPS.map((stop) => kernelParameters(stop, layers));
    for (const [k, stop] of STOPS.entries()) {
      const [row, count = 0, found] = [rows[k] as HTMLElement, counts[k], tested.get(stop)];
      const [, , parameters, error] = row.children as unknown as HTMLElement[];
      row.querySelector("button")?.setAttribute("aria-current", `${stop === chosen}`);
      row.style.setProperty("--share", `${count / Math.max(...counts)}`);
      if (parameters) parameters.textContent = whole(count);
      if (error) error.textContent = found ? percent(found.error, 1) : "–";
    }
  };
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [340, 150, 40, 12, 14, 20];

/** Draws parameters against test errors into `#race`, the places joined in their order. */
export function drawRace(layers: number, tested: ReadonlyMap<Stop, Tested>): void {
  const counts = STOPS.map((stop) => kernelParameters(stop, layers));
  const [least, most] = [Math.min(...counts) / 1.15, Math.max(...counts) * 1.15];
  const worst = Math.max(0.01, ...[...tested.values()].map((one) => one.error + spread(one)));
  const x = (count: number): number =>
    LEFT + ((WIDTH - LEFT - RIGHT) * Math.log(count / least)) / Math.log(most / least);
  const y = (error: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * error) / worst;
  const found = STOPS.flatMap((stop, k) => {
    const one = tested.get(stop);
    return one ? [{ stop, one, px: x(counts[k] as number), py: y(one.error) }] : [];
  });
  const step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((each) => worst / each <= 4) ?? 0.5;
  const lines = Array.from({ length: Math.floor(worst / step) + 1 }, (_, k) => k * step);
  const ticks = [1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];
  const parts = [
    ...lines.map(
      (error) => `<line class="axis" x1="${LEFT}" x2="${WIDTH}" y1="${y(error)}" y2="${y(error)}" />
        <text x="${LEFT - 6}" y="${y(error) + 4}" text-anchor="end">${percent(error, step < 0.01 ? 1 : 0)}</text>`,
    ),
    ...ticks
      .filter((count) => count >= least && count <= most)
      .map((n) => `<text x="${x(n)}" y="${HEIGHT - 5}" text-anchor="middle">${whole(n)}</text>`),
    `<polyline class="path" points="${found.map(({ px, py }) => `${px},${py}`).join(" ")}" />`,
    ...found.map(({ stop, one, px, py }) => {
      const [up, down] = [y(one.error + spread(one)), y(Math.max(0, one.error - spread(one)))];
      return `<g style="fill: var(--stop-${stop}); stroke: var(--stop-${stop})">
        <line x1="${px}" x2="${px}" y1="${up}" y2="${down}" /><circle cx="${px}" cy="${py}" r="4" />
        <text x="${px}" y="${up - 4}" text-anchor="middle" stroke="none">${stop}</text></g>`;
    }),
  ];
  const race = element("race");
  race.innerHTML = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" aria-hidden="true">${parts.join("")}</svg>`;
  race.setAttribute("role", "img");
  const said = found.map(({ stop, one }) => {
    const count = whole(kernelParameters(stop, layers));
    return `${called(stop)}, ${count} parameters: ${percent(one.error, 1)}`;
  });
  race.setAttribute("aria-label", `Test errors by parameters. ${said.join("; ") || "None yet"}.`);
  const samples = found[0]?.one.samples;
  element("race-says").textContent = samples
    ? `Test error on ${whole(samples)} unseen digits (± one standard error) by kernel parameters.`
    : "Test error by kernel parameters: comes with the end of a run.";
}
