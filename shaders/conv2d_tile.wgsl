// Convolution and its input gradient on a GPU, as an implicit GEMM with workgroup-memory tiles:
//   result[g, m, q] = sum over k = (c, r, s) of kernel[g, m, c, r, s] · source[n(q), c, h, w]
// with h = (step·i + sign·r + offset) / divisor where that divides, zero elsewhere and outside.
//   forward:         step = stride, sign = +1, offset = -padding, divisor = 1;
//   input gradient:  step = 1, sign = -1, offset = +padding, divisor = stride; m is an input channel.
// source [samples, channels, source_h, source_w]; kernel [groups or 1, …] addressed by strides;
// result [parts, samples, rows, result_h, result_w], with parts of a long sum. A kernel shared by the batch has one group, whose
// pixels q run through all samples; per-sample kernels have a group per sample.
// A workgroup makes 4·THREADS_M rows by 4·THREADS_N pixels, 16 values each thread, 16 terms of k at
// a time: for 16 multiply-adds a thread reads one vec4, the same for its whole row of threads, and
// four scalars; 8 KiB (16 × 16 threads) let several workgroups share a core. Pixels of one thread lie
// THREADS_N apart, so that neighbouring threads load and store neighbouring addresses. Kernel sizes
// are overrides for the sake of the divisions by them. Not measured on a real GPU yet.
override THREADS_M: u32 = 16u;
override THREADS_N: u32 = 16u;
override KERNEL_H: u32 = 3u;
override KERNEL_W: u32 = 3u;
override DIVIDED: bool = false; // whether a divisor is not 1
override TILE_M: u32 = THREADS_M * 4u;
override TILE_N: u32 = THREADS_N * 4u;
override THREADS: u32 = THREADS_M * THREADS_N;
const TILE_K = 16u;

struct Params {
  groups: u32,
  samples_per_group: u32,
  rows: u32,
  channels: u32,
  source_h: i32,
  source_w: i32,
  result_h: u32,
  result_w: u32,
  step_h: i32,
  step_w: i32,
  sign: i32,
  offset_h: i32,
  offset_w: i32,
  divisor_h: i32,
  divisor_w: i32,
  kernel_row: u32, // elements from m to m + 1
  kernel_channel: u32, // elements from c to c + 1
  kernel_group: u32, // elements from g to g + 1
  tiles: u32, // of pixels in a group
  parts: u32, // of the sum, whose results are added up afterwards
  part_terms: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> kernel: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> weights: array<vec4<f32>, TILE_K * THREADS_M>; // [4 rows, k]
var<workgroup> patches: array<f32, TILE_K * TILE_N>; // [k, column]

fn epilogue(x: f32, i: u32) -> f32 { return x; }

// The value that tap (r, s) of channel c sees at a pixel whose tap (0, 0) lies at (h, w) / divisor.
fn tap(sample: u32, c: u32, h: i32, w: i32) -> f32 {
  var i = h;
  var j = w;
  var hit = h >= 0 && w >= 0;
  if (DIVIDED) {
    i = h / p.divisor_h;
    j = w / p.divisor_w;
    hit = hit && i * p.divisor_h == h && j * p.divisor_w == w;
  }
  hit = hit && i < p.source_h && j < p.source_w;
  if (!hit) { return 0.0; }
  return source[((sample * p.channels + c) * u32(p.source_h) + u32(i)) * u32(p.source_w) + u32(j)];
}

// The weight of row m and term k.
fn weight(group: u32, m: u32, k: u32) -> f32 {
  let taps = KERNEL_H * KERNEL_W;
  if (m >= p.rows || k >= p.channels * taps) { return 0.0; }
  return kernel[group * p.kernel_group + m * p.kernel_row + k / taps * p.kernel_channel + k % taps];
}

fn store(part: u32, group: u32, q: u32, m: u32, v: vec4<f32>) {
  let pixels = p.result_h * p.result_w;
  if (q >= p.samples_per_group * pixels) { return; }
  let sample = group * p.samples_per_group + q / pixels;
  let samples = p.groups * p.samples_per_group;
  let first = ((part * samples + sample) * p.rows + m) * pixels + q % pixels;
  for (var i = 0u; i < 4u; i++) {
    let at = first + i * pixels;
    if (m + i < p.rows) { result[at] = epilogue(v[i], at); }
  }
}

@compute @workgroup_size(THREADS_N, THREADS_M)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_id) lid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let linear = wid.x + wid.y * grid.x;
  if (linear >= p.parts * p.groups * p.tiles) { return; }
  let part = linear / (p.groups * p.tiles);
  let group = linear / p.tiles % p.groups;
  let first_q = (linear % p.tiles) * TILE_N;
  let first_m = wid.z * TILE_M;
  let taps = KERNEL_H * KERNEL_W;
  let begin = part * p.part_terms;
  let end = min(begin + p.part_terms, p.channels * taps);

  // The pixel whose patch this thread loads.
  let pixels = p.result_h * p.result_w;
  let column = thread % TILE_N;
  let q = first_q + column;
  let live = q < p.samples_per_group * pixels;
  let sample = group * p.samples_per_group + q / pixels;
  let corner_h = i32(q % pixels / p.result_w) * p.step_h + p.offset_h;
  let corner_w = i32(q % p.result_w) * p.step_w + p.offset_w;

  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var k0 = begin; k0 < end; k0 += TILE_K) {
    for (var i = thread / TILE_N; i < TILE_K; i += THREADS / TILE_N) {
      let k = k0 + i;
      var v = 0.0;
      if (live && k < end) {
        let r = i32(k % taps / KERNEL_W);
        let s = i32(k % KERNEL_W);
        v = tap(sample, k / taps, corner_h + p.sign * r, corner_w + p.sign * s);
      }
      patches[i * TILE_N + column] = v;
    }
    for (var e = thread; e < TILE_K * THREADS_M; e += THREADS) {
      let m = first_m + e / TILE_K * 4u;
      let k = k0 + e % TILE_K;
      weights[e] = vec4<f32>(
        weight(group, m, k),
        weight(group, m + 1u, k),
        weight(group, m + 2u, k),
        weight(group, m + 3u, k),
      );
    }
    workgroupBarrier();
    for (var i = 0u; i < TILE_K; i++) {
      let b = i * TILE_N + lid.x;
      let w = weights[lid.y * TILE_K + i];
      s0 += w * patches[b];
      s1 += w * patches[b + THREADS_N];
      s2 += w * patches[b + 2u * THREADS_N];
      s3 += w * patches[b + 3u * THREADS_N];
    }
    workgroupBarrier();
  }

  let m = first_m + lid.y * 4u;
  store(part, group, first_q + lid.x, m, s0);
  store(part, group, first_q + lid.x + THREADS_N, m, s1);
  store(part, group, first_q + lid.x + 2u * THREADS_N, m, s2);
  store(part, group, first_q + lid.x + 3u * THREADS_N, m, s3);
}
