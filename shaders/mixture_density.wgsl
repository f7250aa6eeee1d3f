// Negative log-likelihood in nats of points under a mixture of M bivariate normals and a Bernoulli
// variable (Graves 2013, arXiv 1308.0850, equations 15 to 25; here e = sigmoid(e_hat)).
//
// raw [rows, 6 M + 1]: e_hat; then M each of pi_hat, mu1, mu2, log sigma1, log sigma2, rho_hat
// points [rows, 3]: x1, x2 and the end of stroke x3 in {0, 1}
// nll [rows]; logs [rows, M]: pi_hat - max pi_hat + log N, the log of each term up to a constant
// stats [rows]: (max logs, 1 / sum exp(logs - max), max pi_hat, 1 / sum exp(pi_hat - max))
//
// With u = (x1 - mu1) / sigma1, v likewise, r = rho_hat, s = sign(r) and q = exp(-2 |r|):
// 1 / (1 - rho^2) = cosh(r)^2 and 1 + |rho| = 2 / (1 + q), so that
//   log N = -((cosh(r) (u - s v))^2 + s u v (1 + q)) / 2 - log 2 pi - log sigma1 - log sigma2 + log cosh(r)
// where 1 - tanh(r)^2 would have no digits left. LANES invocations share the components of a row
// and meet in workgroup memory, twice, in a fixed order; ROWS rows a workgroup. NaN in a row makes
// its nll and stats NaN.
override LANES: u32 = 1u;
override ROWS: u32 = 16u;

struct Params {
  rows: u32,
  components: u32,
}

@group(0) @binding(0) var<storage, read> raw: array<f32>;
@group(0) @binding(1) var<storage, read> points: array<f32>;
@group(0) @binding(2) var<storage, read_write> nll: array<f32>;
@group(0) @binding(3) var<storage, read_write> logs: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> p: Params;

// (maximum, sum of exp(x - maximum)) of each lane: of pi_hat, then of the logs.
var<workgroup> weights: array<vec2<f32>, ROWS * LANES>;
var<workgroup> terms: array<vec2<f32>, ROWS * LANES>;

// By its bits: exp and log of an adapter may turn NaN into a number.
fn nan_bits(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

// Constant expressions must be finite, so these go through a variable.
fn not_a_number() -> f32 {
  var bits = 0x7fc00000u;
  return bitcast<f32>(bits);
}

fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

// log(1 + x) for x in [0, 1]: the sum loses an x below 2^-24.
fn log1p(x: f32) -> f32 { return select(log(1.0 + x), x, x < 1e-4); }

// (maximum, sum of exp(x - maximum)) of no values.
fn nothing() -> vec2<f32> { return vec2<f32>(-3.4028234e38, 0.0); }

// The same with one more value; a sum of NaN stays NaN, -infinity adds nothing.
fn with_value(a: vec2<f32>, x: f32) -> vec2<f32> {
  if (x < -3.4028234e38) { return a; }
  if (nan_bits(x)) { return vec2<f32>(a.x, not_a_number()); }
  let d = x - a.x;
  let e = exp(-abs(d));
  return select(vec2<f32>(a.x, a.y + e), vec2<f32>(x, a.y * e + 1.0), d > 0.0);
}

fn joined(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  let e = exp(-abs(b.x - a.x));
  return select(vec2<f32>(a.x, a.y + b.y * e), vec2<f32>(b.x, a.y * e + b.y), b.x > a.x);
}

// log N of component j of the row that begins at `start`.
fn log_normal(start: u32, j: u32, x: vec2<f32>) -> f32 {
  let m = p.components;
  let at = start + 1u + j;
  let scale = vec2<f32>(raw[at + 3u * m], raw[at + 4u * m]);
  let w = (x - vec2<f32>(raw[at + m], raw[at + 2u * m])) * exp(-scale);
  let r = raw[at + 5u * m];
  let s = select(1.0, -1.0, r < 0.0);
  let q = exp(-2.0 * abs(r));
  let d = w.x - s * w.y;
  // 0 where d is, even if cosh(r) overflows.
  let t = select(0.5 * (1.0 + q) * exp(abs(r)) * d, 0.0, d == 0.0);
  let quadratic = t * t + s * w.x * w.y * (1.0 + q);
  return -0.5 * quadratic - 1.8378771 - scale.x - scale.y + (abs(r) - 0.6931472 + log1p(q));
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_id) lid: vec3<u32>,
) {
  let row = (wid.x + wid.y * grid.x) * ROWS + lid.y;
  let m = p.components;
  // A row beyond the last has no components, and its invocations reach the barriers.
  let count = select(0u, m, row < p.rows);
  let start = min(row, p.rows - 1u) * (6u * m + 1u);
  let x = vec2<f32>(points[min(row, p.rows - 1u) * 3u], points[min(row, p.rows - 1u) * 3u + 1u]);

  var weight = nothing();
  for (var j = lid.x; j < count; j += LANES) { weight = with_value(weight, raw[start + 1u + j]); }
  if (LANES > 1u) {
    weights[lid.y * LANES + lid.x] = weight;
    workgroupBarrier();
    weight = weights[lid.y * LANES];
    for (var l = 1u; l < LANES; l++) { weight = joined(weight, weights[lid.y * LANES + l]); }
  }

  var term = nothing();
  for (var j = lid.x; j < count; j += LANES) {
    let value = (raw[start + 1u + j] - weight.x) + log_normal(start, j, x);
    logs[row * m + j] = value;
    term = with_value(term, value);
  }
  if (LANES > 1u) {
    terms[lid.y * LANES + lid.x] = term;
    workgroupBarrier();
    term = terms[lid.y * LANES];
    for (var l = 1u; l < LANES; l++) { term = joined(term, terms[lid.y * LANES + l]); }
  }

  if (lid.x == 0u && row < p.rows) {
    let e = raw[start];
    let bernoulli = max(e, 0.0) - points[row * 3u + 2u] * e + log1p(exp(-abs(e)));
    let mixture = log(weight.y) - log(term.y) - term.x;
    nll[row] = select(mixture, infinity(), term.y == 0.0) + bernoulli;
    stats[row] = vec4<f32>(term.x, 1.0 / term.y, weight.x, 1.0 / weight.y);
    if (nan_bits(weight.y) || nan_bits(term.y) || nan_bits(e)) {
      nll[row] = not_a_number();
      stats[row] = vec4<f32>(not_a_number());
    }
  }
}
