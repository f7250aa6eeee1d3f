// Batch norm, first of two dispatches: mean and squares of a part of a channel.
// x [images, channels, area], area = H W; scale, shift, running_mean, running_variance [channels].
// partials [channels, 1 + chunks]: (running_mean, running_variance, scale, shift) of the channel,
// carried on so that the second dispatch has bindings left, and behind it for each chunk
// (count, mean - origin, sum of (x - mean)^2, origin): means are told from the channel's first
// element, so that those of lanes and chunks keep the digits in which they differ.
//
// A chunk is up to `span` images by up to `piece` elements of their planes, a workgroup its own.
// Its lanes stride over it: ACROSS of them side by side along a plane, the others take further
// images. Each lane subtracts its own first element from all others before it adds and squares
// them: what cancels is then at most the lane's number of elements times what is left, however far
// the mean is from 0. A sum for each plane first, so that rounding grows with the plane and with the
// number of planes, not with their product. Lanes, and later chunks, are merged as Chan, Golub and
// LeVeque (1979) do, by a tree in a fixed order. Few lanes for software adapters, where barriers and
// threads are dear. VECTORS (area a multiple of 4): four elements at once; else one, in component x.
override LANES: u32 = 64u; // a power of 2
override ACROSS: u32 = 64u; // a power of 2, LANES at most
override VECTORS: bool = false;

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
@group(0) @binding(3) var<storage, read> running_mean: array<f32>;
@group(0) @binding(4) var<storage, read> running_variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> p: Params;

// (count, mean, squares) of each lane.
var<workgroup> parts: array<vec3<f32>, LANES>;

fn load_x(i: u32) -> vec4<f32> {
  if (VECTORS) { return x[i / 4u]; }
  return vec4<f32>(x[i / 4u][i % 4u], 0.0, 0.0, 0.0);
}

// Two sets as one; a set of none changes nothing.
fn merge(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> {
  let count = a.x + b.x;
  let apart = b.y - a.y;
  let step = apart * select(b.x / count, 0.0, b.x == 0.0);
  return vec3<f32>(count, a.y + step, a.z + b.z + apart * step * a.x);
}

fn origin_of(channel: u32) -> f32 {
  let i = channel * p.area;
  return x[i / 4u][i % 4u];
}

fn lane_set(channel: u32, chunk: u32, lane: u32) -> vec3<f32> {
  let step = select(1u, 4u, VECTORS);
  let first = chunk / p.pieces * p.span + lane / ACROSS;
  let last = min((chunk / p.pieces + 1u) * p.span, p.images);
  let begin = chunk % p.pieces * p.piece + lane % ACROSS * step;
  let end = min((chunk % p.pieces + 1u) * p.piece, p.area);
  // A lane without elements reads some other of the channel and counts none.
  let near = (min(first, p.images - 1u) * p.channels + channel) * p.area;
  let pivot = load_x(near + min(begin, p.area - step));
  var loads = 0u;
  var s = vec4<f32>();
  var squares = vec4<f32>();
  for (var n = first; n < last; n += LANES / ACROSS) {
    let plane = (n * p.channels + channel) * p.area;
    var plane_s = vec4<f32>();
    var plane_squares = vec4<f32>();
    for (var j = begin; j < end; j += ACROSS * step) {
      let off = load_x(plane + j) - pivot;
      plane_s += off;
      plane_squares += off * off;
      loads++;
    }
    s += plane_s;
    squares += plane_squares;
  }
  let count = f32(loads);
  let off = s * select(1.0 / count, 0.0, loads == 0u);
  let mean = (pivot - origin_of(channel)) + off;
  squares -= s * off;
  let one = vec3<f32>(count, mean.x, squares.x);
  if (!VECTORS) { return one; }
  return merge(
    merge(one, vec3<f32>(count, mean.y, squares.y)),
    merge(vec3<f32>(count, mean.z, squares.z), vec3<f32>(count, mean.w, squares.w)),
  );
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let group = wid.x + wid.y * grid.x;
  if (group >= p.channels * p.chunks) { return; }
  let channel = group / p.chunks;
  let chunk = group % p.chunks;
  parts[lane] = lane_set(channel, chunk, lane);
  workgroupBarrier();
  for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
    if (lane < reach) { parts[lane] = merge(parts[lane], parts[lane + reach]); }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let at = channel * (1u + p.chunks);
    partials[at + 1u + chunk] = vec4<f32>(parts[0], origin_of(channel));
    if (chunk == 0u) {
      partials[at] = vec4<f32>(
        running_mean[channel], running_variance[channel], scale[channel], shift[channel],
      );
    }
  }
}
