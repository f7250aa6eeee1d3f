/**
 * Trains a network of 97 weights that another one generates, for 40 steps, on a saddle. Takes the
 * library as an argument: pages and workers name it by different addresses.
 * @param {typeof import("hyperloom")} hyperloom
 * @returns {Promise<{ losses: number[] }>} the loss of each step
 */
export async function train(hyperloom) {
  const { adam, compile, dense, flatGenerator, hyper, mean, module } = hyperloom;
  const { requestDevice, sin, square, sub, trainStep } = hyperloom;
  const [inner, outer] = [dense(2, 24), dense(24, 1)];
  const params = { inner: inner.params, outer: outer.params };
  const wave = module(
    "wave",
    params,
    (context, p, x) => {
      const h = sin(inner.apply(context, p.inner, {}, x).outputs);
      return outer.apply(context, p.outer, {}, h).outputs;
    },
    [2],
  );
  /** @type {import("hyperloom").Loss} */
  const squares = {
    name: "squares",
    targets: ({ shape }) => ({ target: { shape, dtype: "f32" } }),
    apply: (y, { target = 0 }) => ({ loss: mean(square(sub(y, target))), metrics: {} }),
  };
  const net = hyper(wave, { generator: flatGenerator(params, { nz: 4 }) });
  const program = trainStep(net, squares, adam({ lr: 1e-2 }), { batch: 64 });
  const device = await requestDevice();
  const step = await compile(device, program, { seed: 1 });
  const points = Array.from({ length: 64 }, (_, i) => [(i % 8) / 4 - 1, (i >> 3) / 4 - 1]);
  const data = {
    x: new Float32Array(points.flat()),
    target: Float32Array.from(points, ([a = 0, b = 0]) => a * b),
  };
  const losses = [];
  for (let t = 0; t < 40; t++) losses.push((await step.run(data)).loss?.[0] ?? Number.NaN);
  step.dispose();
  device.dispose();
  return { losses };
}
