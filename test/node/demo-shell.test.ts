/** The parts of the demo that need no browser: films, settings in the address, centred digits. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { Film, FilmError, readFilm, writeFilm } from "../../demo/shell/film";
import { integer, number, openLink, seed, word } from "../../demo/shell/link";
import { runningMean } from "../../demo/shell/mean";
import { boxed, centreOfMass } from "../../demo/static/strokes";

/** A film whose one tensor is [step, −step / 2] at every step, with loss 1 / step. */
function made(steps: number): Film {
  const film = new Film({ steps, nz: 4 });
  for (let step = 0; step <= steps; step++) {
    film.record({ step, tensors: { w: Float32Array.of(step, -step / 2) } });
    if (step > 0) film.point({ step, values: { loss: 1 / step } });
  }
  return film;
}

describe("a film", () => {
  test("keeps 120 snapshots at most, the first and the last among them", () => {
    const film = made(1000);
    const steps = film.frames.map(({ step }) => step);
    expect(steps.length).toBeLessThanOrEqual(120);
    expect(steps.length).toBeGreaterThan(60);
    expect([steps[0], steps.at(-1), film.end]).toEqual([0, 1000, 1000]);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
  });

  test("shows between two snapshots their mean by distance, beyond the ends the ends", () => {
    const film = new Film();
    film.record({ step: 10, tensors: { w: Float32Array.of(1, 0) } });
    film.record({ step: 20, tensors: { w: Float32Array.of(3, -4) } });
    const at = (step: number): number[] => [...(film.at(step)?.tensors.w ?? [])];
    expect([at(10), at(15), at(17.5), at(20)]).toEqual([
      [1, 0],
      [2, -2],
      [2.5, -3],
      [3, -4],
    ]);
    expect([at(0), at(99)]).toEqual([
      [1, 0],
      [3, -4],
    ]);
    expect(new Film().at(3)).toBeUndefined();
  });

  test("of a run that went back forgets what came after", () => {
    const film = made(30);
    film.record({ step: 12, tensors: { w: Float32Array.of(7, 7) } });
    film.point({ step: 12, values: { loss: 5 } });
    expect([film.end, film.frames.length, film.points.length]).toEqual([12, 13, 12]);
    expect([...(film.at(12)?.tensors.w ?? [])]).toEqual([7, 7]);
    expect(film.valuesAt(30)).toEqual({ step: 12, values: { loss: 5 } });
  });

  test("comes back from its file within half a level of 127", async () => {
    const film = made(200);
    const read = await readFilm(await writeFilm(film, 6));
    expect(read.about).toEqual({ steps: 200, nz: 4 });
    expect(read.frames).toHaveLength(6);
    expect([read.frames[0]?.step, read.end]).toEqual([0, 200]);
    for (const { step, tensors } of read.frames) {
      const [a = Number.NaN, b = Number.NaN] = tensors.w ?? [];
      expect(Math.abs(a - step)).toBeLessThanOrEqual(100.1 / 127);
      expect(Math.abs(b + step / 2)).toBeLessThanOrEqual(100.1 / 127);
    }
    expect(read.valuesAt(50)?.values.loss).toBeCloseTo(1 / 50, 5);
  });

  test("keeps values that only some points have", async () => {
    const film = made(3);
    film.point({ step: 4, values: { loss: 0.2, held: 0.3 } });
    const { points } = await readFilm(await writeFilm(film));
    expect(points.at(-2)?.values).toEqual({ loss: 0.3333 });
    expect(points.at(-1)?.values).toEqual({ loss: 0.2, held: 0.3 });
  });

  test("refuses other files", async () => {
    await expect(readFilm(new Uint8Array([1, 2, 3]))).rejects.toThrow(FilmError);
    const whole = await writeFilm(made(20));
    await expect(readFilm(whole.slice(0, whole.length >> 1))).rejects.toThrow(/no film/);
    await expect(writeFilm(new Film())).rejects.toThrow(/without snapshots/);
  });
});

describe("the link", () => {
  afterEach(() => vi.unstubAllGlobals());

  const open = (hash: string) => {
    const location = { hash, pathname: "/page", search: "?a", href: "" };
    const replaced: string[] = [];
    const replaceState = (_: unknown, __: string, url: string): void => {
      replaced.push(url);
      location.hash = url.startsWith("#") ? url : "";
    };
    vi.stubGlobal("location", location);
    vi.stubGlobal("history", { replaceState });
    const link = openLink({
      seed,
      nz: integer(4, 1, 16),
      lr: number(0.003, 0, 1),
      kind: word("one", "two"),
    });
    return { link, replaced };
  };

  test("is read within bounds, and says what falls to its default", () => {
    const { link } = open("#seed=7&nz=17&lr=0.01&kind=three&unknown=1");
    expect(link.values).toEqual({ seed: 7, nz: 4, lr: 0.01, kind: "one" });
    expect(link.complaints).toEqual([
      "In the link, nz is 17, must be integer from 1 to 16; 4 is taken.",
      "In the link, kind is three, must be one of one, two; one is taken.",
    ]);
    expect(open("#nz=&lr=x").link.complaints).toHaveLength(2);
    expect(open("#nz=2.5").link.values.nz).toBe(4);
    expect(open("").link.complaints).toEqual([]);
  });

  test("is written without defaults, and leaves unknown keys alone", () => {
    const { link, replaced } = open("#x=1");
    link.set("nz", 8);
    link.set("kind", "two");
    link.set("nz", 4);
    expect(replaced).toEqual(["#x=1&nz=8", "#x=1&nz=8&kind=two", "#x=1&kind=two"]);
    expect(link.values).toMatchObject({ nz: 4, kind: "two" });
    const bare = open("#nz=8");
    bare.link.set("nz", 4);
    expect(bare.replaced).toEqual(["/page?a"]);
  });
});

test("a drawn digit is brought into the box of 20 pixels", () => {
  const { scale, x, y } = boxed([
    [100, 50, 100, 150],
    [80, 60, 120, 60],
  ]);
  // 100 high with a pen of 2.4: 17.6 pixels between the ends, their middle in the middle.
  expect(100 * scale).toBeCloseTo(17.6, 10);
  expect([100 * scale + x, 100 * scale + y]).toEqual([14, 14]);
  // A dot stays a dot.
  expect(boxed([[5, 5]]).scale).toBeLessThan(3);
});

test("the centre of mass is weighted by ink", () => {
  const image = new Float32Array(784);
  image[28 * 2 + 4] = 1;
  image[28 * 6 + 12] = 3;
  expect(centreOfMass(image)).toEqual([10.5, 5.5]);
  expect(centreOfMass(new Float32Array(784))).toEqual([14, 14]);
});

test("the running mean is over what there is, then over the last ones", () => {
  expect(runningMean([4, 2, 3], 10)).toEqual([4, 3, 3]);
  expect(runningMean([0, 1, 1, 3], 2)).toEqual([0, 0.5, 1, 2]);
});
