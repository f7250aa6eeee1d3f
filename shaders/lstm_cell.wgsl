// One step of an LSTM from the pre-activations of its gates, with layer norm (NORM) or without:
//   ŷ = LN(y) γ_y + β_y (NORM) or y, for each gate y on its own over the units;
//   c' = σ(f̂ + forget_bias) c + σ(î) mask tanh(ĝ);   h' = σ(ô) tanh(LN(c') γ_c + β_c or c').
// LN: biased variance, epsilon inside the root, mean first and then the squares of what is left.
// y = hg, or in a HyperLSTM (HYPER)  y = d_0 hg + d_1 xg + d_2,  made anew each time that it is
// looked at (three times with NORM), since no binding is left to keep it.
// hg, xg [rows, 4, hidden]: the gates in the blocks I, F, G, O; d [3, 4, rows, hidden]: kinds, then
// gates in the same order; c, mask (MASK), c_next and h_next [rows, hidden]; norm [2, 5, hidden]: γ
// of the four blocks and of c, then β.
// NORM: a row a workgroup, whose LANES lanes stride over the units; they leave c' and σ(ô) in the
// outputs until the statistics of c' are known. A tree adds up their sums, in a fixed order. Few
// lanes for software adapters, where barriers and threads are dear; enough for the units on a GPU.
// Otherwise the units of all rows are dealt out one after another. VECTORS (hidden a multiple of
// 4): four units at once, which halves the price of loads on software adapters; else one unit, in
// component x, so that neighbouring lanes touch neighbouring addresses.
override LANES: u32 = 64u; // a power of 2
override HYPER: bool = true;
override NORM: bool = true;
override MASK: bool = true;
override VECTORS: bool = false;
override I: u32 = 0u;
override F: u32 = 1u;
override G: u32 = 2u;
override O: u32 = 3u;

struct Params {
  rows: u32,
  hidden: u32,
  inverse: f32, // 1 / hidden
  epsilon: f32,
  forget_bias: f32,
}

@group(0) @binding(0) var<storage, read> hg: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> xg: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> mask: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> c_next: array<f32>;
@group(0) @binding(7) var<storage, read_write> h_next: array<f32>;
@group(0) @binding(8) var<uniform> p: Params;

var<workgroup> parts: array<vec4<f32>, LANES>;

// Of the four blocks, in a row.
var<private> mean: vec4<f32>;
var<private> scale: vec4<f32>;

// y of block part from unit u of row b on.
fn load_y(part: u32, b: u32, u: u32) -> vec4<f32> {
  let i = (b * 4u + part) * p.hidden + u;
  let j = (part * p.rows + b) * p.hidden + u;
  let k = j + 4u * p.rows * p.hidden;
  let l = k + 4u * p.rows * p.hidden;
  if (VECTORS) {
    if (HYPER) { return d[j / 4u] * hg[i / 4u] + d[k / 4u] * xg[i / 4u] + d[l / 4u]; }
    return hg[i / 4u];
  }
  var y = hg[i / 4u][i % 4u];
  if (HYPER) {
    y = d[j / 4u][j % 4u] * y + d[k / 4u][k % 4u] * xg[i / 4u][i % 4u] + d[l / 4u][l % 4u];
  }
  return vec4<f32>(y, 0.0, 0.0, 0.0);
}

fn load_c(i: u32) -> vec4<f32> {
  if (VECTORS) { return c[i / 4u]; }
  return vec4<f32>(c[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_norm(i: u32) -> vec4<f32> {
  if (VECTORS) { return norm[i / 4u]; }
  return vec4<f32>(norm[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_mask(i: u32) -> vec4<f32> {
  if (VECTORS) { return mask[i / 4u]; }
  return vec4<f32>(mask[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_c_next(i: u32) -> vec4<f32> {
  if (VECTORS) {
    return vec4<f32>(c_next[i], c_next[i + 1u], c_next[i + 2u], c_next[i + 3u]);
  }
  return vec4<f32>(c_next[i], 0.0, 0.0, 0.0);
}

fn load_h_next(i: u32) -> vec4<f32> {
  if (VECTORS) {
    return vec4<f32>(h_next[i], h_next[i + 1u], h_next[i + 2u], h_next[i + 3u]);
  }
  return vec4<f32>(h_next[i], 0.0, 0.0, 0.0);
}

fn store_c(i: u32, v: vec4<f32>) {
  c_next[i] = v.x;
  if (VECTORS) {
    c_next[i + 1u] = v.y;
    c_next[i + 2u] = v.z;
    c_next[i + 3u] = v.w;
  }
}

fn store_h(i: u32, v: vec4<f32>) {
  h_next[i] = v.x;
  if (VECTORS) {
    h_next[i + 1u] = v.y;
    h_next[i + 2u] = v.z;
    h_next[i + 3u] = v.w;
  }
}

// Told by the bits; exp and clamp lose it on one adapter.
fn is_nan(x: vec4<f32>) -> vec4<bool> {
  return (bitcast<vec4u>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn sigmoid(x: vec4<f32>) -> vec4<f32> {
  let e = exp(-abs(x));
  let s = select(vec4<f32>(1.0), e, x < vec4<f32>(0.0)) / (vec4<f32>(1.0) + e);
  return select(s, x, is_nan(x));
}

// tanh is NaN beyond |x| = 89 on one adapter; it rounds to 1 from 9.02 on.
fn safe_tanh(x: vec4<f32>) -> vec4<f32> {
  return select(tanh(clamp(x, vec4<f32>(-10.0), vec4<f32>(10.0))), x, is_nan(x));
}

// Over the units that v holds.
fn add_up(v: vec4<f32>) -> f32 {
  if (VECTORS) { return (v.x + v.y) + (v.z + v.w); }
  return v.x;
}

// Over the lanes.
fn total(lane: u32, v: vec4<f32>) -> vec4<f32> {
  parts[lane] = v;
  workgroupBarrier();
  for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
    if (lane < reach) { parts[lane] += parts[lane + reach]; }
    workgroupBarrier();
  }
  let all = parts[0];
  workgroupBarrier();
  return all;
}

// ŷ of block part from unit u of row b on.
fn gate(part: u32, b: u32, u: u32) -> vec4<f32> {
  let y = load_y(part, b, u);
  if (!NORM) { return y; }
  let gamma = load_norm(part * p.hidden + u);
  return (y - mean[part]) * scale[part] * gamma + load_norm((part + 5u) * p.hidden + u);
}

// c' and σ(ô) from unit u of row b on.
struct Unit {
  c: vec4<f32>,
  o: vec4<f32>,
}

fn unit(b: u32, u: u32) -> Unit {
  let i = b * p.hidden + u;
  // Looped over: a compiler that writes out every call takes a third of the time so.
  var a: array<vec4<f32>, 4>;
  for (var part = 0u; part < 4u; part++) {
    let y = gate(part, b, u);
    if (part == G) {
      a[part] = safe_tanh(y);
      if (MASK) { a[part] *= load_mask(i); }
    } else {
      a[part] = sigmoid(y + select(0.0, p.forget_bias, part == F));
    }
  }
  return Unit(a[F] * load_c(i) + a[I] * a[G], a[O]);
}

fn normed_row(b: u32, lane: u32) {
  let width = select(1u, 4u, VECTORS);
  let first = lane * width;
  let stride = LANES * width;
  let n = p.hidden;
  var s = vec4<f32>();
  for (var u = first; u < n; u += stride) {
    for (var part = 0u; part < 4u; part++) { s[part] += add_up(load_y(part, b, u)); }
  }
  mean = total(lane, s) * p.inverse;
  s = vec4<f32>();
  for (var u = first; u < n; u += stride) {
    for (var part = 0u; part < 4u; part++) {
      let off = load_y(part, b, u) - mean[part];
      s[part] += add_up(off * off);
    }
  }
  scale = inverseSqrt(total(lane, s) * p.inverse + p.epsilon);

  var sum = 0.0;
  for (var u = first; u < n; u += stride) {
    let made = unit(b, u);
    store_c(b * n + u, made.c);
    store_h(b * n + u, made.o);
    sum += add_up(made.c);
  }
  let c_mean = total(lane, vec4<f32>(sum)).x * p.inverse;
  sum = 0.0;
  for (var u = first; u < n; u += stride) {
    let off = load_c_next(b * n + u) - c_mean;
    sum += add_up(off * off);
  }
  let c_scale = inverseSqrt(total(lane, vec4<f32>(sum)).x * p.inverse + p.epsilon);
  for (var u = first; u < n; u += stride) {
    let i = b * n + u;
    let c_hat = (load_c_next(i) - c_mean) * c_scale * load_norm(4u * n + u) + load_norm(9u * n + u);
    store_h(i, load_h_next(i) * safe_tanh(c_hat));
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let k = wid.x + wid.y * grid.x;
  if (NORM) {
    if (k < p.rows) { normed_row(k, lane); }
  } else {
    let width = select(1u, 4u, VECTORS);
    let i = (k * LANES + lane) * width;
    if (i < p.rows * p.hidden) {
      let b = i / p.hidden;
      let made = unit(b, i - b * p.hidden);
      store_c(i, made.c);
      store_h(i, made.o * safe_tanh(made.c));
    }
  }
}
