// Sum, maximum or minimum over some axes of x, or partial results of chunks of the terms.
//
// x is read as [R0, K0, R1, K1, R2] with kept axes K and reduced axes R (sizes of 1 where missing).
// y: [chunks, K0, K1]. The terms of one output form `outer` runs of `inner` elements; a chunk is a
// block of runs by a piece of each. A later pass reduces the chunks ([chunks, outputs] again).
//
// LANES invocations share one output and a run: 1 where outputs and chunks already give enough
// of them (always on software adapters, where neither workgroup memory nor neighbouring addresses
// pay), 32 or more on GPUs where a run is contiguous. Terms are added in 4 strands per run, runs one
// by one, lanes in a tree: for S steps in a lane the error is at most about
// (S / 4 + runs + log2 LANES) 2^-24 of the sum of magnitudes, S being kept at about 512 by the chunks.
// NaN wins in every operation: comparisons alone would drop it.
override OPERATION: u32 = 0u; // 0 sum, 1 maximum, 2 minimum
override LANES: u32 = 1u; // a power of two
override OUTPUTS: u32 = 64u;

struct Params {
  // Outputs K0 K1, and K1 alone.
  outputs: u32,
  k1: u32,
  // Strides of the two kept axes in x.
  k0_stride: u32,
  k1_stride: u32,
  // A run: `inner` elements at `inner_stride`, in pieces of `inner_chunk`.
  inner: u32,
  inner_stride: u32,
  inner_chunk: u32,
  inner_chunks: u32,
  // Runs: [R0, outer_size] with two strides, in blocks of `outer_chunk`.
  outer: u32,
  outer_size: u32,
  outer_stride: u32,
  r0_stride: u32,
  outer_chunk: u32,
  chunks: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> partial: array<f32, LANES * OUTPUTS>;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

fn is_nan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

fn combine(u: f32, v: f32) -> f32 {
  if (OPERATION == 0u) { return u + v; }
  if (OPERATION == 1u) { return select(u, v, v > u || is_nan(v)); }
  return select(u, v, v < u || is_nan(v));
}

fn combine4(u: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
  if (OPERATION == 0u) { return u + v; }
  return vec4<f32>(combine(u.x, v.x), combine(u.y, v.y), combine(u.z, v.z), combine(u.w, v.w));
}

@compute @workgroup_size(LANES, OUTPUTS)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_id) lid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = (wid.x + wid.y * grid.x) * OUTPUTS + lid.y;
  let valid = id < p.outputs * p.chunks;
  let o = id % p.outputs;
  let chunk = id / p.outputs;
  let base = o / p.k1 * p.k0_stride + o % p.k1 * p.k1_stride;
  let begin = chunk % p.inner_chunks * p.inner_chunk;
  let end = min(begin + p.inner_chunk, p.inner);
  let first = chunk / p.inner_chunks * p.outer_chunk;
  let last = select(first, min(first + p.outer_chunk, p.outer), valid);

  // Neutral element: 0, -infinity or infinity.
  var bits = 0u;
  if (OPERATION == 1u) { bits = 0xff800000u; }
  if (OPERATION == 2u) { bits = 0x7f800000u; }
  let neutral = bitcast<f32>(bits);

  var total = neutral;
  let step = LANES * p.inner_stride;
  for (var run = first; run < last; run++) {
    var at = base + run / p.outer_size * p.r0_stride + run % p.outer_size * p.outer_stride +
      (begin + lid.x) * p.inner_stride;
    var strands = vec4<f32>(neutral);
    var i = begin + lid.x;
    for (; i + 3u * LANES < end; i += 4u * LANES) {
      strands = combine4(strands, vec4<f32>(x[at], x[at + step], x[at + 2u * step], x[at + 3u * step]));
      at += 4u * step;
    }
    for (; i < end; i += LANES) {
      strands.x = combine(strands.x, x[at]);
      at += step;
    }
    total = combine(total, combine(combine(strands.x, strands.y), combine(strands.z, strands.w)));
  }

  if (LANES > 1u) {
    partial[lane] = total;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      if (lid.x < half) {
        total = combine(total, partial[lane + half]);
        partial[lane] = total;
      }
      workgroupBarrier();
    }
  }
  if (lid.x == 0u && valid) { y[id] = epilogue(total, id); }
}
