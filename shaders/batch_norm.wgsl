// Batch norm, second of two dispatches: y = (x - mean) / sqrt(variance + epsilon) scale + shift with
// mean and biased variance of the channel, and max(y, 0) of that with RELU.
// x, y [images, channels, area]; partials [channels, 1 + chunks] as batch_norm_statistics leaves
// them. next_mean, next_variance [channels]: keep times the running statistics plus momentum times
// the batch's, the variance without bias. batch_mean, factor [channels]: the
// mean and 1 / sqrt(variance + epsilon).
// Chunks, lanes and VECTORS as in batch_norm_statistics. Every lane merges the chunks of its channel
// for itself, in their order: they are few, and no barrier is needed. The first workgroup of a
// channel writes its statistics.
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
  unbiased: f32, // 1 / (images area - 1)
  epsilon: f32,
  keep: f32, // 1 - momentum
  momentum: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> next_mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> next_variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> batch_mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> factor: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

fn load_x(i: u32) -> vec4<f32> {
  if (VECTORS) { return x[i / 4u]; }
  return vec4<f32>(x[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

// Two sets (count, mean, squares) as one; neither is empty.
fn merge(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> {
  let count = a.x + b.x;
  let apart = b.y - a.y;
  let step = apart * (b.x / count);
  return vec3<f32>(count, a.y + step, a.z + b.z + apart * step * a.x);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wid.x + wid.y * grid.x;
  if (group >= p.channels * p.chunks) { return; }
  let channel = group / p.chunks;
  let chunk = group % p.chunks;
  let at = channel * (1u + p.chunks);
  var all = partials[at + 1u].xyz;
  for (var k = 1u; k < p.chunks; k++) { all = merge(all, partials[at + 1u + k].xyz); }
  let given = partials[at];
  let mean = partials[at + 1u].w + all.y;
  let by = inverseSqrt(all.z * p.inverse + p.epsilon);
  if (chunk == 0u && lane == 0u) {
    next_mean[channel] = p.keep * given.x + p.momentum * mean;
    next_variance[channel] = p.keep * given.y + p.momentum * (all.z * p.unbiased);
    batch_mean[channel] = mean;
    factor[channel] = by;
  }

  let step = select(1u, 4u, VECTORS);
  let last = min((chunk / p.pieces + 1u) * p.span, p.images);
  let begin = chunk % p.pieces * p.piece + lane % ACROSS * step;
  let end = min((chunk % p.pieces + 1u) * p.piece, p.area);
  for (var n = chunk / p.pieces * p.span + lane / ACROSS; n < last; n += LANES / ACROSS) {
    let plane = (n * p.channels + channel) * p.area;
    for (var j = begin; j < end; j += ACROSS * step) {
      let i = plane + j;
      var v = (load_x(i) - mean) * by * given.z + given.w;
      if (RELU) { v = select(v, vec4<f32>(), v < vec4<f32>()); }
      y[i] = epilogue(v.x, i);
      if (VECTORS) {
        y[i + 1u] = epilogue(v.y, i + 1u);
        y[i + 2u] = epilogue(v.z, i + 2u);
        y[i + 3u] = epilogue(v.w, i + 3u);
      }
    }
  }
}
