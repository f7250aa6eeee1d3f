// Gradient of batch norm, first of two dispatches: sums of g and of g x_hat over a part of a
// channel, where x_hat = (x - mean) / sqrt(variance + epsilon), and g = dy, with RELU only where
// x_hat scale + shift > 0.
// x, dy [images, channels, area]; scale, shift, mean [channels]; factor [channels]:
// 1 / sqrt(variance + epsilon). partials [channels, 1 + chunks]: (mean, factor,
// scale, shift) of the channel, carried on, and behind it (sum of g, sum of g x_hat, 0, 0)
// of each chunk. Chunks, lanes and VECTORS as in batch_norm_statistics; sums over planes before those
// over images, lanes by a tree, in a fixed order.
override LANES: u32 = 64u; // a power of 2
override ACROSS: u32 = 64u; // a power of 2, LANES at most
override VECTORS: bool = false;
override RELU: bool = false;

struct Params {
  images: u32,
  channels: u32,
  area: u32,
  span: u32,
  piece: u32,
  pieces: u32, // of a plane
  chunks: u32, // of a channel
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> shift: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> factor: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> p: Params;

var<workgroup> parts: array<vec2<f32>, LANES>;

fn load_x(i: u32) -> vec4<f32> {
  if (VECTORS) { return x[i / 4u]; }
  return vec4<f32>(x[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_dy(i: u32) -> vec4<f32> {
  if (VECTORS) { return dy[i / 4u]; }
  return vec4<f32>(dy[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

// Over the elements that v holds.
fn add_up(v: vec4<f32>) -> f32 {
  if (VECTORS) { return (v.x + v.y) + (v.z + v.w); }
  return v.x;
}

fn lane_sums(given: vec4<f32>, channel: u32, chunk: u32, lane: u32) -> vec2<f32> {
  let step = select(1u, 4u, VECTORS);
  let last = min((chunk / p.pieces + 1u) * p.span, p.images);
  let begin = chunk % p.pieces * p.piece + lane % ACROSS * step;
  let end = min((chunk % p.pieces + 1u) * p.piece, p.area);
  var s = vec4<f32>();
  var products = vec4<f32>();
  for (var n = chunk / p.pieces * p.span + lane / ACROSS; n < last; n += LANES / ACROSS) {
    let plane = (n * p.channels + channel) * p.area;
    var plane_s = vec4<f32>();
    var plane_products = vec4<f32>();
    for (var j = begin; j < end; j += ACROSS * step) {
      let x_hat = (load_x(plane + j) - given.x) * given.y;
      var g = load_dy(plane + j);
      if (RELU) { g = select(vec4<f32>(), g, x_hat * given.z + given.w > vec4<f32>()); }
      plane_s += g;
      plane_products += g * x_hat;
    }
    s += plane_s;
    products += plane_products;
  }
  return vec2<f32>(add_up(s), add_up(products));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wid.x + wid.y * grid.x;
  if (group >= p.channels * p.chunks) { return; }
  let channel = group / p.chunks;
  let chunk = group % p.chunks;
  let given = vec4<f32>(mean[channel], factor[channel], scale[channel], shift[channel]);
  parts[lane] = lane_sums(given, channel, chunk, lane);
  workgroupBarrier();
  for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
    if (lane < reach) { parts[lane] += parts[lane + reach]; }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let at = channel * (1u + p.chunks);
    partials[at + 1u + chunk] = vec4<f32>(parts[0], 0.0, 0.0);
    if (chunk == 0u) { partials[at] = given; }
  }
}
