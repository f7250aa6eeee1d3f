// Gradient of layer norm, y = x̂ scale + shift with x̂ = (x - mean) / sqrt(variance + epsilon):
//   dx = (g - mean(g) - x̂ mean(g x̂)) / sqrt(variance + epsilon), g = dy scale;
//   dscale = sum of dy x̂, dshift = sum of dy, over the rows of each group alone.
// x, dy, dx [steps, rows, width]; scale [width]; dscale, dshift [steps, groups, width]: a group has
// `span` rows of a step, the last one those that are left. A group a workgroup, one row after
// another; a lane adds to its own elements only, so that barriers stand in the sums over the lanes
// alone. Lanes, sums and VECTORS as in layer_norm.
override LANES: u32 = 64u; // a power of 2
override VECTORS: bool = false;

struct Params {
  steps: u32,
  rows: u32, // of a step
  groups: u32, // of a step
  span: u32,
  width: u32,
  inverse: f32, // 1 / width
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> dscale: array<f32>;
@group(0) @binding(5) var<storage, read_write> dshift: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

var<workgroup> parts: array<vec2<f32>, LANES>;

fn load_x(i: u32) -> vec4<f32> {
  if (VECTORS) { return x[i / 4u]; }
  return vec4<f32>(x[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_scale(i: u32) -> vec4<f32> {
  if (VECTORS) { return scale[i / 4u]; }
  return vec4<f32>(scale[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_dy(i: u32) -> vec4<f32> {
  if (VECTORS) { return dy[i / 4u]; }
  return vec4<f32>(dy[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn store_dx(i: u32, v: vec4<f32>) {
  dx[i] = v.x;
  if (VECTORS) {
    dx[i + 1u] = v.y;
    dx[i + 2u] = v.z;
    dx[i + 3u] = v.w;
  }
}

// One element's part of the sums over rows; the first row finds none yet.
fn add_element(first: bool, i: u32, a: f32, b: f32) {
  if (first) {
    dscale[i] = a;
    dshift[i] = b;
  } else {
    dscale[i] += a;
    dshift[i] += b;
  }
}

fn add_parameters(first: bool, i: u32, a: vec4<f32>, b: vec4<f32>) {
  add_element(first, i, a.x, b.x);
  if (VECTORS) {
    add_element(first, i + 1u, a.y, b.y);
    add_element(first, i + 2u, a.z, b.z);
    add_element(first, i + 3u, a.w, b.w);
  }
}

// Over the elements that v holds.
fn add_up(v: vec4<f32>) -> f32 {
  if (VECTORS) { return (v.x + v.y) + (v.z + v.w); }
  return v.x;
}

// Over the lanes.
fn total(lane: u32, v: vec2<f32>) -> vec2<f32> {
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

fn row(b: u32, first: bool, group: u32, lane: u32) {
  let step = select(1u, 4u, VECTORS);
  let start = b * p.width;
  var s = vec2<f32>();
  for (var j = lane * step; j < p.width; j += LANES * step) { s.x += add_up(load_x(start + j)); }
  let mean = total(lane, s).x * p.inverse;
  s = vec2<f32>();
  for (var j = lane * step; j < p.width; j += LANES * step) {
    let off = load_x(start + j) - mean;
    s.x += add_up(off * off);
  }
  let factor = inverseSqrt(total(lane, s).x * p.inverse + p.epsilon);
  s = vec2<f32>();
  for (var j = lane * step; j < p.width; j += LANES * step) {
    let x_hat = (load_x(start + j) - mean) * factor;
    let g = load_dy(start + j);
    add_parameters(first, group * p.width + j, g * x_hat, g);
    let scaled = g * load_scale(j);
    s += vec2<f32>(add_up(scaled), add_up(scaled * x_hat));
  }
  let means = total(lane, s) * p.inverse;
  for (var j = lane * step; j < p.width; j += LANES * step) {
    let x_hat = (load_x(start + j) - mean) * factor;
    let scaled = load_dy(start + j) * load_scale(j);
    store_dx(start + j, (scaled - means.x - x_hat * means.y) * factor);
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wid.x + wid.y * grid.x;
  if (group < p.steps * p.groups) {
    let time = group / p.groups;
    let begin = (group % p.groups) * p.span;
    let end = min(begin + p.span, p.rows);
    for (var b = begin; b < end; b++) { row(time * p.rows + b, b == begin, group, lane); }
  }
}
