// Gradient of batch norm, second of two dispatches, with x_hat and g as in batch_norm_gradient_sums:
//   dx = (g - mean(g) - x_hat mean(g x_hat)) scale / sqrt(variance + epsilon);
//   dscale = sum of g x_hat, dshift = sum of g.
// x, dy, dx [images, channels, area]; partials [channels, 1 + chunks] as batch_norm_gradient_sums
// leaves them; dscale, dshift [channels]. Chunks, lanes and VECTORS as in batch_norm_statistics;
// every lane adds up the chunks of its channel, in their order. The first workgroup of a channel
// writes dscale and dshift.
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
  inverse: f32, // 1 / (images area)
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> dscale: array<f32>;
@group(0) @binding(5) var<storage, read_write> dshift: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

fn load_x(i: u32) -> vec4<f32> {
  if (VECTORS) { return x[i / 4u]; }
  return vec4<f32>(x[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

fn load_dy(i: u32) -> vec4<f32> {
  if (VECTORS) { return dy[i / 4u]; }
  return vec4<f32>(dy[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wid.x + wid.y * grid.x;
  if (group >= p.channels * p.chunks) { return; }
  let channel = group / p.chunks;
  let chunk = group % p.chunks;
  let at = channel * (1u + p.chunks);
  var sums = partials[at + 1u].xy;
  for (var k = 1u; k < p.chunks; k++) { sums += partials[at + 1u + k].xy; }
  if (chunk == 0u && lane == 0u) {
    dshift[channel] = sums.x;
    dscale[channel] = sums.y;
  }

  let given = partials[at];
  let means = sums * p.inverse;
  let factor = given.y * given.z;
  let step = select(1u, 4u, VECTORS);
  let last = min((chunk / p.pieces + 1u) * p.span, p.images);
  let begin = chunk % p.pieces * p.piece + lane % ACROSS * step;
  let end = min((chunk % p.pieces + 1u) * p.piece, p.area);
  for (var n = chunk / p.pieces * p.span + lane / ACROSS; n < last; n += LANES / ACROSS) {
    let plane = (n * p.channels + channel) * p.area;
    for (var j = begin; j < end; j += ACROSS * step) {
      let i = plane + j;
      let x_hat = (load_x(i) - given.x) * given.y;
      var g = load_dy(i);
      if (RELU) { g = select(vec4<f32>(), g, x_hat * given.z + given.w > vec4<f32>()); }
      let v = (g - means.x - x_hat * means.y) * factor;
      dx[i] = epilogue(v.x, i);
      if (VECTORS) {
        dx[i + 1u] = epilogue(v.y, i + 1u);
        dx[i + 2u] = epilogue(v.z, i + 2u);
        dx[i + 3u] = epilogue(v.w, i + 3u);
      }
    }
  }
}
