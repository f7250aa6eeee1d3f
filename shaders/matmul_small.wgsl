// Batched matrix product for skinny, small or unaligned operands: y[g, m, n] = sum over k of
// a[m, k] b[k, n], any sizes, scalar loads.
//
// a: [items, M, K] or, with TRANSPOSE_A, [items, K, M]
// b: [items, K, N] or, with TRANSPOSE_B, [items, N, K]
// y: [groups, M, N]; with splits > 1 partial sums [splits, groups, M, N]
// With PAIR also + sum over k < K2 of a_second[m, k] b_second[k, n], stored like a and b, for one item
// and one split; a is not transposed. Without PAIR the two are not read.
//
// An invocation makes ROWS x COLS outputs over every LANES_K-th k; the lanes along k meet in
// workgroup memory, where each row is added up in order. Where M N is tiny, parallelism can only
// come from k.
override ROWS: u32 = 4u; // 1 to 4
override COLS: u32 = 4u; // 1 to 4
override LANES_N: u32 = 4u;
override LANES_K: u32 = 4u;
override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;
override PAIR: bool = false;

struct Params {
  // Batch: item t has the coordinates of t in `sizes`; strides in elements (0: shared).
  sizes: vec4<u32>,
  a_strides: vec4<u32>,
  b_strides: vec4<u32>,
  items: u32,
  // Items summed into one output; 1 for a plain batch.
  group: u32,
  groups: u32,
  splits: u32,
  // Length of one split along k.
  k_split: u32,
  m: u32,
  n: u32,
  k: u32,
  k2: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> a_second: array<f32>;
@group(0) @binding(3) var<storage, read> b_second: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

// Row r of lane k: [k][r][lane along n].
var<workgroup> partial: array<vec4<f32>, 4u * LANES_N * LANES_K>;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

// Offsets in a (x) and b (y) of a batch item.
fn item_offsets(item: u32) -> vec2<u32> {
  if (p.items == 1u) { return vec2<u32>(0u); }
  let s = p.sizes;
  let at = vec4<u32>(item / (s.y * s.z * s.w), item / (s.z * s.w) % s.y, item / s.w % s.z, item % s.w);
  let oa = at * p.a_strides;
  let ob = at * p.b_strides;
  return vec2<u32>(oa.x + oa.y + oa.z + oa.w, ob.x + ob.y + ob.z + ob.w);
}

// The first `count` elements of v at y[at].
fn store(v: vec4<f32>, at: u32, count: u32) {
  if (count > 0u) { y[at] = epilogue(v.x, at); }
  if (COLS > 1u && count > 1u) { y[at + 1u] = epilogue(v.y, at + 1u); }
  if (COLS > 2u && count > 2u) { y[at + 2u] = epilogue(v.z, at + 2u); }
  if (COLS > 3u && count > 3u) { y[at + 3u] = epilogue(v.w, at + 3u); }
}

@compute @workgroup_size(LANES_N, LANES_K)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_id) lid: vec3<u32>,
) {
  let tiles_n = (p.n + COLS * LANES_N - 1u) / (COLS * LANES_N);
  let tiles_m = (p.m + ROWS - 1u) / ROWS;
  let tile = wid.x + wid.y * grid.x;
  let j = (tile % tiles_n * LANES_N + lid.x) * COLS;
  let i = tile / tiles_n % tiles_m * ROWS;
  let part = tile / (tiles_n * tiles_m);
  // A part beyond the last runs empty loops, so that all invocations reach the barriers.
  let g = part % p.groups;
  let k_begin = part / p.groups * p.k_split;
  let k_end = select(0u, min(k_begin + p.k_split, p.k), part < p.groups * p.splits);

  // Steps to neighbouring rows and columns; those outside repeat the last one.
  let rows_in = min(vec4<u32>(i, i + 1u, i + 2u, i + 3u), vec4<u32>(p.m - 1u));
  let cols_in = min(vec4<u32>(j, j + 1u, j + 2u, j + 3u), vec4<u32>(p.n - 1u));
  let ai = rows_in * select(p.k, 1u, TRANSPOSE_A);
  let bj = cols_in * select(1u, p.k, TRANSPOSE_B);
  let ak = select(1u, p.m, TRANSPOSE_A);
  let bk = select(p.n, 1u, TRANSPOSE_B);

  var c = mat4x4<f32>();
  let items_end = min((g + 1u) * p.group, p.items);
  for (var item = g * p.group; item < items_end; item++) {
    let base = item_offsets(item);
    for (var k = k_begin + lid.y; k < k_end; k += LANES_K) {
      let at_a = base.x + k * ak;
      let at_b = base.y + k * bk;
      var bv = vec4<f32>(b[at_b + bj.x], 0.0, 0.0, 0.0);
      if (COLS > 1u) { bv.y = b[at_b + bj.y]; }
      if (COLS > 2u) { bv.z = b[at_b + bj.z]; }
      if (COLS > 3u) { bv.w = b[at_b + bj.w]; }
      c[0] += a[at_a + ai.x] * bv;
      if (ROWS > 1u) { c[1] += a[at_a + ai.y] * bv; }
      if (ROWS > 2u) { c[2] += a[at_a + ai.z] * bv; }
      if (ROWS > 3u) { c[3] += a[at_a + ai.w] * bv; }
    }
  }
  if (PAIR) {
    let ai2 = rows_in * p.k2;
    let bj2 = cols_in * select(1u, p.k2, TRANSPOSE_B);
    for (var k = lid.y; k < p.k2; k += LANES_K) {
      let at_b = k * bk;
      var bv = vec4<f32>(b_second[at_b + bj2.x], 0.0, 0.0, 0.0);
      if (COLS > 1u) { bv.y = b_second[at_b + bj2.y]; }
      if (COLS > 2u) { bv.z = b_second[at_b + bj2.z]; }
      if (COLS > 3u) { bv.w = b_second[at_b + bj2.w]; }
      c[0] += a_second[k + ai2.x] * bv;
      if (ROWS > 1u) { c[1] += a_second[k + ai2.y] * bv; }
      if (ROWS > 2u) { c[2] += a_second[k + ai2.z] * bv; }
      if (ROWS > 3u) { c[3] += a_second[k + ai2.w] * bv; }
    }
  }

  let at = part * p.m * p.n + i * p.n + j;
  let n = p.n - min(j, p.n);
  let rows = select(0u, min(ROWS, p.m - i), part < p.groups * p.splits);
  if (LANES_K > 1u) {
    let own = lid.y * 4u * LANES_N + lid.x;
    partial[own] = c[0];
    if (ROWS > 1u) { partial[own + LANES_N] = c[1]; }
    if (ROWS > 2u) { partial[own + 2u * LANES_N] = c[2]; }
    if (ROWS > 3u) { partial[own + 3u * LANES_N] = c[3]; }
    workgroupBarrier();
    for (var r = lid.y; r < rows; r += LANES_K) {
      var sum = vec4<f32>();
      for (var l = 0u; l < LANES_K; l++) { sum += partial[(l * 4u + r) * LANES_N + lid.x]; }
      store(sum, at + r * p.n, n);
    }
  } else {
    for (var r = 0u; r < rows; r++) {
      store(c[0], at + r * p.n, n);
      c = mat4x4<f32>(c[1], c[2], c[3], c[3]);
    }
  }
}
