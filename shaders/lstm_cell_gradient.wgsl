// Gradient of lstm_cell, whose equations stand there; everything is computed again from pre and cm.
// pre, dpre [rows, 4, hidden]: the gates in the blocks I, F, G, O; cm [rows, hidden] = c, or
// (MASK) [rows, 2, hidden] = c and the mask; norm [2, 5, hidden] (NORM); dh (DH), dc (DC) and
// dc_prev [rows, hidden]: gradients of h', c' and c; dnorm [groups, 2, 5, hidden] (NORM): that of
// norm, summed over the `span` rows of each group alone.
// NORM: a group a workgroup, one row after another, whose LANES lanes stride over the units. Of a
// row the activations, then the gradients of ŷ, wait in dpre and c' in dc_prev; a lane reads only
// what it has written itself, so that barriers stand in the sums alone (a tree, in a fixed order).
// With x̂ = (x - mean) scale and y = x̂ γ + β:  dx = scale (dy γ - mean(dy γ) - x̂ mean(dy γ x̂)).
// Lanes and VECTORS as in lstm_cell.
override LANES: u32 = 64u; // a power of 2
override NORM: bool = true;
override MASK: bool = true;
override DH: bool = true;
override DC: bool = true;
override VECTORS: bool = false;
override I: u32 = 0u;
override F: u32 = 1u;
override G: u32 = 2u;
override O: u32 = 3u;

struct Params {
  rows: u32,
  hidden: u32,
  span: u32, // rows of a group
  inverse: f32, // 1 / hidden
  epsilon: f32,
  forget_bias: f32,
}

@group(0) @binding(0) var<storage, read> pre: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> cm: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> dh: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> dc: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dpre: array<f32>;
@group(0) @binding(6) var<storage, read_write> dc_prev: array<f32>;
@group(0) @binding(7) var<storage, read_write> dnorm: array<f32>;
@group(0) @binding(8) var<uniform> p: Params;

var<workgroup> parts: array<vec4<f32>, LANES>;

// Of the four blocks, in a row.
var<private> mean: vec4<f32>;
var<private> scale: vec4<f32>;

fn load_pre(i: u32) -> vec4<f32> {
  if (VECTORS) { return pre[i / 4u]; }
  return vec4<f32>(pre[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_cm(i: u32) -> vec4<f32> {
  if (VECTORS) { return cm[i / 4u]; }
  return vec4<f32>(cm[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_norm(i: u32) -> vec4<f32> {
  if (VECTORS) { return norm[i / 4u]; }
  return vec4<f32>(norm[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_dh(i: u32) -> vec4<f32> {
  if (!DH) { return vec4<f32>(); }
  if (VECTORS) { return dh[i / 4u]; }
  return vec4<f32>(dh[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_dc(i: u32) -> vec4<f32> {
  if (!DC) { return vec4<f32>(); }
  if (VECTORS) { return dc[i / 4u]; }
  return vec4<f32>(dc[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_dpre(i: u32) -> vec4<f32> {
  if (VECTORS) { return vec4<f32>(dpre[i], dpre[i + 1u], dpre[i + 2u], dpre[i + 3u]); }
  return vec4<f32>(dpre[i], 0.0, 0.0, 0.0);
}

fn load_dc_prev(i: u32) -> vec4<f32> {
  if (VECTORS) {
    return vec4<f32>(dc_prev[i], dc_prev[i + 1u], dc_prev[i + 2u], dc_prev[i + 3u]);
  }
  return vec4<f32>(dc_prev[i], 0.0, 0.0, 0.0);
}

fn store_dpre(i: u32, v: vec4<f32>) {
  dpre[i] = v.x;
  if (VECTORS) {
    dpre[i + 1u] = v.y;
    dpre[i + 2u] = v.z;
    dpre[i + 3u] = v.w;
  }
}

fn store_dc_prev(i: u32, v: vec4<f32>) {
  dc_prev[i] = v.x;
  if (VECTORS) {
    dc_prev[i + 1u] = v.y;
    dc_prev[i + 2u] = v.z;
    dc_prev[i + 3u] = v.w;
  }
}

// The first row of a group finds no sum yet.
fn add_dnorm(row: u32, i: u32, v: vec4<f32>) {
  if (row == 0u) {
    dnorm[i] = v.x;
    if (VECTORS) {
      dnorm[i + 1u] = v.y;
      dnorm[i + 2u] = v.z;
      dnorm[i + 3u] = v.w;
    }
  } else {
    dnorm[i] += v.x;
    if (VECTORS) {
      dnorm[i + 1u] += v.y;
      dnorm[i + 2u] += v.z;
      dnorm[i + 3u] += v.w;
    }
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

fn load_c(b: u32, u: u32) -> vec4<f32> {
  return load_cm(b * p.hidden * select(1u, 2u, MASK) + u);
}

fn load_mask(b: u32, u: u32) -> vec4<f32> {
  if (MASK) { return load_cm((b * 2u + 1u) * p.hidden + u); }
  return vec4<f32>(1.0);
}

// x̂ of block part from unit u of row b on.
fn centred(part: u32, b: u32, u: u32) -> vec4<f32> {
  return (load_pre((b * 4u + part) * p.hidden + u) - mean[part]) * scale[part];
}

// ŷ likewise.
fn gate(part: u32, b: u32, u: u32) -> vec4<f32> {
  if (!NORM) { return load_pre((b * 4u + part) * p.hidden + u); }
  let gamma = load_norm(part * p.hidden + u);
  return centred(part, b, u) * gamma + load_norm((part + 5u) * p.hidden + u);
}

// The four gates are looped over: a compiler that writes out every call takes a third of the time so.
alias Gates = array<vec4<f32>, 4>;

fn activations(b: u32, u: u32) -> Gates {
  var a: Gates;
  for (var part = 0u; part < 4u; part++) {
    let y = gate(part, b, u);
    if (part == G) {
      a[part] = safe_tanh(y);
    } else {
      a[part] = sigmoid(y + select(0.0, p.forget_bias, part == F));
    }
  }
  return a;
}

// Writes the gradients of ŷ and of c, given those of c' and of σ(ô).
fn back_unit(b: u32, u: u32, a: Gates, dc_next: vec4<f32>, d_o: vec4<f32>) {
  let n = p.hidden;
  let at = b * 4u * n + u;
  let mask = load_mask(b, u);
  let one = vec4<f32>(1.0);
  store_dpre(at + I * n, dc_next * mask * a[G] * a[I] * (one - a[I]));
  store_dpre(at + F * n, dc_next * load_c(b, u) * a[F] * (one - a[F]));
  store_dpre(at + G * n, dc_next * a[I] * mask * (one - a[G] * a[G]));
  store_dpre(at + O * n, d_o * a[O] * (one - a[O]));
  store_dc_prev(b * n + u, dc_next * a[F]);
}

// Adds a block's part of a unit to dnorm; the unit's terms of the two means in dx.
fn back_norm(part: u32, b: u32, u: u32, group: u32, row: u32) -> vec2<f32> {
  let n = p.hidden;
  let dy = load_dpre((b * 4u + part) * n + u);
  let x = centred(part, b, u);
  let at = (group * 10u + part) * n + u;
  add_dnorm(row, at, dy * x);
  add_dnorm(row, at + 5u * n, dy);
  let dx = dy * load_norm(part * n + u);
  return vec2<f32>(add_up(dx), add_up(dx * x));
}

fn back_block(part: u32, b: u32, u: u32, first: f32, second: f32) {
  let i = (b * 4u + part) * p.hidden + u;
  let dx = load_dpre(i) * load_norm(part * p.hidden + u) - first - centred(part, b, u) * second;
  store_dpre(i, dx * scale[part]);
}

fn gate_statistics(b: u32, lane: u32) {
  let width = select(1u, 4u, VECTORS);
  let n = p.hidden;
  let at = b * 4u * n;
  var s = vec4<f32>();
  for (var u = lane * width; u < n; u += LANES * width) {
    for (var part = 0u; part < 4u; part++) { s[part] += add_up(load_pre(at + part * n + u)); }
  }
  mean = total(lane, s) * p.inverse;
  s = vec4<f32>();
  for (var u = lane * width; u < n; u += LANES * width) {
    for (var part = 0u; part < 4u; part++) {
      let off = load_pre(at + part * n + u) - mean[part];
      s[part] += add_up(off * off);
    }
  }
  scale = inverseSqrt(total(lane, s) * p.inverse + p.epsilon);
}

// Row b, the row-th of its group.
fn normed_row(b: u32, group: u32, row: u32, lane: u32) {
  let width = select(1u, 4u, VECTORS);
  let first = lane * width;
  let stride = LANES * width;
  let n = p.hidden;
  let at = b * 4u * n;
  gate_statistics(b, lane);

  var sum = 0.0;
  for (var u = first; u < n; u += stride) {
    let a = activations(b, u);
    let c_next = a[F] * load_c(b, u) + a[I] * (a[G] * load_mask(b, u));
    for (var part = 0u; part < 4u; part++) { store_dpre(at + part * n + u, a[part]); }
    store_dc_prev(b * n + u, c_next);
    sum += add_up(c_next);
  }
  let c_mean = total(lane, vec4<f32>(sum)).x * p.inverse;
  sum = 0.0;
  for (var u = first; u < n; u += stride) {
    let d = load_dc_prev(b * n + u) - c_mean;
    sum += add_up(d * d);
  }
  let c_scale = inverseSqrt(total(lane, vec4<f32>(sum)).x * p.inverse + p.epsilon);

  var sums = vec2<f32>();
  for (var u = first; u < n; u += stride) {
    let x = (load_dc_prev(b * n + u) - c_mean) * c_scale;
    let gamma = load_norm(4u * n + u);
    let t = safe_tanh(x * gamma + load_norm(9u * n + u));
    let dy = load_dh(b * n + u) * load_dpre(at + O * n + u) * (vec4<f32>(1.0) - t * t);
    let into = (group * 10u + 4u) * n + u;
    add_dnorm(row, into, dy * x);
    add_dnorm(row, into + 5u * n, dy);
    sums += vec2<f32>(add_up(dy * gamma), add_up(dy * gamma * x));
  }
  let c_means = total(lane, vec4<f32>(sums, 0.0, 0.0)) * p.inverse;

  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  for (var u = first; u < n; u += stride) {
    var a: Gates;
    for (var part = 0u; part < 4u; part++) { a[part] = load_dpre(at + part * n + u); }
    let x = (load_dc_prev(b * n + u) - c_mean) * c_scale;
    let gamma = load_norm(4u * n + u);
    let t = safe_tanh(x * gamma + load_norm(9u * n + u));
    let dhu = load_dh(b * n + u);
    let dx = dhu * a[O] * (vec4<f32>(1.0) - t * t) * gamma - c_means.x - x * c_means.y;
    back_unit(b, u, a, load_dc(b * n + u) + dx * c_scale, dhu * t);
    for (var part = 0u; part < 4u; part++) {
      let means = back_norm(part, b, u, group, row);
      s1[part] += means.x;
      s2[part] += means.y;
    }
  }
  let m1 = total(lane, s1) * p.inverse;
  let m2 = total(lane, s2) * p.inverse;
  for (var u = first; u < n; u += stride) {
    for (var part = 0u; part < 4u; part++) { back_block(part, b, u, m1[part], m2[part]); }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let k = wid.x + wid.y * grid.x;
  if (NORM) {
    let end = min((k + 1u) * p.span, p.rows);
    for (var b = k * p.span; b < end; b++) { normed_row(b, k, b - k * p.span, lane); }
  } else {
    let width = select(1u, 4u, VECTORS);
    let i = (k * LANES + lane) * width;
    if (i < p.rows * p.hidden) {
      let b = i / p.hidden;
      let u = i - b * p.hidden;
      let a = activations(b, u);
      let t = safe_tanh(a[F] * load_c(b, u) + a[I] * (a[G] * load_mask(b, u)));
      let dhu = load_dh(i);
      let dc_next = load_dc(i) + dhu * a[O] * (vec4<f32>(1.0) - t * t);
      back_unit(b, u, a, dc_next, dhu * t);
    }
  }
}
