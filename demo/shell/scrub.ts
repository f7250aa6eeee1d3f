/** The slider under the picture: it replays a film, and follows a run that is under way. */
import { Film, type Frame, readFilm } from "./film";
import { calm, element, enable } from "./frame";

/** Seconds that a film takes. */
const LENGTH = 9;

/** A film's player. */
export interface Scrub {
  /** Shows another film: a stored one is played (its end without motion), another followed. */
  show(film: Film, stored: boolean): void;
  /** The film has grown; true where its end is what is looked at. */
  grown(): boolean;
  /** Stops playing where it is, while a run starts: on two cores the film would slow it down. */
  hold(): void;
  /** Goes on with what `hold` stopped. */
  release(): void;
  /** Whether the newest snapshot is looked at. */
  readonly follows: boolean;
}

/** A film of `demo/films/`, fetched by its name; an empty one where it cannot be read. */
export async function storedFilm(name: string): Promise<Film> {
  try {
    const response = await fetch(`./${name}.film`);
    if (!response.ok) return new Film();
    return await readFilm(new Uint8Array(await response.arrayBuffer()));
  } catch {
    // The page is of use without its film.
    return new Film();
  }
}

/**
 * Fills `#scrub` with a play button, a slider over steps and its caption.
 * @param onShow Draws a snapshot; `live`: it is the newest of the present run.
 */
export function createScrub(onShow: (frame: Frame, live: boolean) => void): Scrub {
  element("scrub").innerHTML = `
    <button id="play" type="button" class="quiet">Play</button>
    <input id="at" type="range" min="0" max="1" step="any" value="0" aria-label="Step of the run" />
    <span id="shown"></span>`;
  const [button, slider] = [element<HTMLButtonElement>("play"), element<HTMLInputElement>("at")];
  const output = element("shown");
  let film = new Film();
  let isStored = true;
  let following = false;
  let playing = false;
  let held = false;
  let last = 0;
  /** The frame asked for while the film plays. */
  let asked = 0;

  const draw = (step: number): void => {
    const frame = film.at(step);
    const shown = Math.round(step);
    slider.value = `${step}`;
    slider.setAttribute("aria-valuetext", `Step ${shown} of ${film.end}`);
    output.textContent = `${isStored ? "A stored run, step" : "Step"} ${shown}`;
    if (frame) onShow({ ...frame, step }, following && !isStored);
  };

  const tick = (now: number): void => {
    if (!playing) return;
    const passed = Math.min(100, now - last) / 1000;
    last = now;
    const at = Number(slider.value);
    const next = at + (passed * film.end) / LENGTH;
    if (next < film.end) draw(next);
    else if (isStored && at < film.end) draw(film.end);
    else if (isStored) draw(0);
    else follow();
    if (playing) asked = requestAnimationFrame(tick);
  };

  const setPlaying = (next: boolean): void => {
    playing = next;
    cancelAnimationFrame(asked);
    button.textContent = next ? "Stop" : "Play";
    if (!next) return;
    following = false;
    last = performance.now();
    asked = requestAnimationFrame(tick);
  };

  const follow = (): void => {
    setPlaying(false);
    following = true;
    slider.value = `${film.end}`;
    if (film.frames.length > 0) draw(film.end);
  };

  button.onclick = () => {
    if (playing) return setPlaying(false);
    if (Number(slider.value) >= film.end) draw(0);
    setPlaying(true);
  };
  slider.oninput = () => {
    const step = Number(slider.value);
    setPlaying(false);
    following = step >= film.end;
    draw(step);
  };

  return {
    show(next, stored) {
      held = false;
      film = next;
      isStored = stored;
      slider.max = `${Math.max(1, film.end)}`;
      enable(button, film.frames.length > 1);
      if (!stored || calm() || film.frames.length < 2) {
        follow();
        return;
      }
      draw(0);
      setPlaying(true);
    },
    grown() {
      slider.max = `${Math.max(1, film.end)}`;
      enable(button, film.frames.length > 1);
      if (following) draw(film.end);
      return following;
    },
    hold() {
      held = playing;
      setPlaying(false);
    },
    release() {
      if (held) setPlaying(true);
      held = false;
    },
    get follows() {
      return following;
    },
  };
}
