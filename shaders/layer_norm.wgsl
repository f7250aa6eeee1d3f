// Layer norm over the last axis: y = (x - mean) / sqrt(variance + epsilon) scale + shift, biased
// variance, mean first and then the squares of what is left. x, y [rows, width]; scale, shift [width].
// A row a workgroup, whose LANES lanes stride over it; a tree adds up their sums, in a fixed order.
// Few lanes for software adapters, where barriers and threads are dear; enough for the row on a GPU.
// VECTORS (width a multiple of 4): four elements at once, which halves the price of loads on
// software adapters; else one, in component x, so that neighbouring lanes touch neighbouring
// addresses.
override LANES: u32 = 64u; // a power of 2
override VECTORS: bool = false;

struct Params {
  rows: u32,
  width: u32,
  inverse: f32, // 1 / width
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> shift: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

var<workgroup> parts: array<f32, LANES>;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

fn load_x(i: u32) -> vec4<f32> {
  if (VECTORS) { return x[i / 4u]; }
  return vec4<f32>(x[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_scale(i: u32) -> vec4<f32> {
  if (VECTORS) { return scale[i / 4u]; }
  return vec4<f32>(scale[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_shift(i: u32) -> vec4<f32> {
  if (VECTORS) { return shift[i / 4u]; }
  return vec4<f32>(shift[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

// Over the elements that v holds.
fn add_up(v: vec4<f32>) -> f32 {
  if (VECTORS) { return (v.x + v.y) + (v.z + v.w); }
  return v.x;
}

// Over the lanes.
fn total(lane: u32, v: f32) -> f32 {
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

fn row(b: u32, lane: u32) {
  let step = select(1u, 4u, VECTORS);
  let start = b * p.width;
  var s = 0.0;
  for (var j = lane * step; j < p.width; j += LANES * step) { s += add_up(load_x(start + j)); }
  let mean = total(lane, s) * p.inverse;
  s = 0.0;
  for (var j = lane * step; j < p.width; j += LANES * step) {
    let off = load_x(start + j) - mean;
    s += add_up(off * off);
  }
  let factor = inverseSqrt(total(lane, s) * p.inverse + p.epsilon);
  for (var j = lane * step; j < p.width; j += LANES * step) {
    let i = start + j;
    let v = (load_x(i) - mean) * factor * load_scale(j) + load_shift(j);
    y[i] = epilogue(v.x, i);
    if (VECTORS) {
      y[i + 1u] = epilogue(v.y, i + 1u);
      y[i + 2u] = epilogue(v.z, i + 2u);
      y[i + 3u] = epilogue(v.w, i + 3u);
    }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let b = wid.x + wid.y * grid.x;
  if (b < p.rows) { row(b, lane); }
}
