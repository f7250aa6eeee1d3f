// Kernel gradient of a convolution on a GPU, as an implicit GEMM with workgroup-memory tiles, one
// part of its long sum at a time:
//   partial[z, g, o, (c, r, s)] = sum over the pixels q of part z of dy[n, o, i, j] · x[n, c, h, w],
//   q = (n, i, j), h = i·stride_h + r - pad_h, w likewise; zero outside the image.
// x [samples, channels, image_h, image_w]; dy [samples, rows, result_h, result_w];
// partial [parts, groups, rows, channels · KERNEL_H · KERNEL_W]. A kernel shared by the batch is
// one group, whose pixels run through all samples; per-sample kernels are a group per sample.
// A workgroup makes 4·THREADS_M output channels by 4·THREADS_N taps of one part, 16 pixels at a time
// (tiling as in conv2d_tile). Without parts a 3×3 kernel of 64 channels would fill 9 workgroups.
override THREADS_M: u32 = 16u;
override THREADS_N: u32 = 16u;
override KERNEL_H: u32 = 3u;
override KERNEL_W: u32 = 3u;
override TILE_M: u32 = THREADS_M * 4u;
override TILE_N: u32 = THREADS_N * 4u;
override THREADS: u32 = THREADS_M * THREADS_N;
override PITCH: u32 = TILE_N + 1u; // odd: threads of one column and 16 pixels meet no bank twice
const TILE_K = 16u;

struct Params {
  slices: u32, // parts · groups
  groups: u32,
  part_pixels: u32,
  group_pixels: u32,
  samples_per_group: u32,
  rows: u32,
  channels: u32,
  image_h: i32,
  image_w: i32,
  result_h: u32,
  result_w: u32,
  stride_h: i32,
  stride_w: i32,
  pad_h: i32,
  pad_w: i32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> signals: array<vec4<f32>, TILE_K * THREADS_M>; // [4 rows, k]
var<workgroup> patches: array<f32, TILE_K * PITCH>; // [k, column]

// dy of output channel m at a pixel of a sample; 0 beyond the channels.
fn signal(sample: u32, m: u32, pixel: u32, live: bool) -> f32 {
  if (!live || m >= p.rows) { return 0.0; }
  return dy[(sample * p.rows + m) * p.result_h * p.result_w + pixel];
}

fn store(slice: u32, column: u32, m: u32, v: vec4<f32>) {
  let columns = p.channels * KERNEL_H * KERNEL_W;
  if (column >= columns) { return; }
  let first = (slice * p.rows + m) * columns + column;
  for (var i = 0u; i < 4u; i++) {
    if (m + i < p.rows) { partial[first + i * columns] = v[i]; }
  }
}

@compute @workgroup_size(THREADS_N, THREADS_M)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_id) lid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let slice = wid.x + wid.y * grid.x;
  if (slice >= p.slices) { return; }
  let columns = p.channels * KERNEL_H * KERNEL_W;
  let row_tiles = (p.rows + TILE_M - 1u) / TILE_M;
  let first_m = wid.z % row_tiles * TILE_M;
  let first_column = wid.z / row_tiles * TILE_N;
  let group = slice % p.groups;
  let begin = slice / p.groups * p.part_pixels;
  let end = min(begin + p.part_pixels, p.group_pixels);
  let pixels = p.result_h * p.result_w;

  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  // Neighbouring threads load neighbouring pixels of one row or one tap.
  let k = thread % TILE_K;
  for (var k0 = begin; k0 < end; k0 += TILE_K) {
    let q = k0 + k;
    let sample = group * p.samples_per_group + q / pixels;
    let pixel = q % pixels;
    let corner_h = i32(pixel / p.result_w) * p.stride_h - p.pad_h;
    let corner_w = i32(pixel % p.result_w) * p.stride_w - p.pad_w;
    for (var i = thread / TILE_K; i < THREADS_M; i += THREADS / TILE_K) {
      let m = first_m + i * 4u;
      signals[i * TILE_K + k] = vec4<f32>(
        signal(sample, m, pixel, q < end),
        signal(sample, m + 1u, pixel, q < end),
        signal(sample, m + 2u, pixel, q < end),
        signal(sample, m + 3u, pixel, q < end),
      );
    }
    for (var i = thread / TILE_K; i < TILE_N; i += THREADS / TILE_K) {
      let column = first_column + i;
      let h = corner_h + i32(column / KERNEL_W % KERNEL_H);
      let w = corner_w + i32(column % KERNEL_W);
      var v = 0.0;
      if (q < end && column < columns && h >= 0 && h < p.image_h && w >= 0 && w < p.image_w) {
        let c = column / (KERNEL_H * KERNEL_W);
        v = x[((sample * p.channels + c) * u32(p.image_h) + u32(h)) * u32(p.image_w) + u32(w)];
      }
      patches[k * PITCH + i] = v;
    }
    workgroupBarrier();
    for (var i = 0u; i < TILE_K; i++) {
      let b = i * PITCH + lid.x;
      let d = signals[lid.y * TILE_K + i];
      s0 += d * patches[b];
      s1 += d * patches[b + THREADS_N];
      s2 += d * patches[b + 2u * THREADS_N];
      s3 += d * patches[b + 3u * THREADS_N];
    }
    workgroupBarrier();
  }

  let m = first_m + lid.y * 4u;
  store(slice, first_column + lid.x, m, s0);
  store(slice, first_column + lid.x + THREADS_N, m, s1);
  store(slice, first_column + lid.x + 2u * THREADS_N, m, s2);
  store(slice, first_column + lid.x + 3u * THREADS_N, m, s3);
}
