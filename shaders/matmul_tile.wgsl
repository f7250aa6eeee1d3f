// Batched matrix product for GPUs: y[g, m, n] = sum over k of a[m, k] b[k, n].
//
// a: rows of 4-element vectors, [items, M, K] or, with TRANSPOSE_A, [items, K, M]
// b: likewise [items, K, N] or, with TRANSPOSE_B, [items, N, K]
// y: [groups, M, N]; with splits > 1 partial sums [splits, groups, M, N]
// The inner axis of a and b is a multiple of 4 (matmul_pack pads it with zeros).
// With PAIR also + sum over k of a_second[m, k] b_second[k, n], stored like a and b: items are the two
// pairs, of K and K2 terms, in one group and one split. Without PAIR the two are not read.
//
// A workgroup of THREADS x THREADS makes a square tile of 4 THREADS outputs a side, 4 x 4 an
// invocation, and walks k in steps of STEP through workgroup memory: 16 multiply-adds for every two
// vectors read there. Tiles of both operands lie as [k][4 outputs], so that invocations of a row
// read the same vector of a and neighbouring vectors of b.
override THREADS: u32 = 16u; // 8 or 16
override STEP: u32 = 16u; // a multiple of 4
override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;
override PAIR: bool = false;

struct Params {
  // Batch: item t has the coordinates of t in `sizes`; strides in vectors (0: shared).
  sizes: vec4<u32>,
  a_strides: vec4<u32>,
  b_strides: vec4<u32>,
  items: u32,
  // Items summed into one output; 1 for a plain batch.
  group: u32,
  groups: u32,
  splits: u32,
  // Length of one split along k, a multiple of 4.
  k_split: u32,
  m: u32,
  n: u32,
  k: u32,
  // Row lengths of a and b in vectors.
  a_row: u32,
  b_row: u32,
  // K2, and the row lengths of the second pair.
  k2: u32,
  a2_row: u32,
  b2_row: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> a_second: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b_second: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

// One vector of 4 outputs at each k, with a vector of padding a row against bank conflicts.
var<workgroup> a_tile: array<vec4<f32>, STEP * (THREADS + 1u)>;
var<workgroup> b_tile: array<vec4<f32>, STEP * (THREADS + 1u)>;

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

// Vector of a at row i of the tensor and vector v; zero outside [rows, row).
fn read_a(second: bool, base: u32, i: u32, v: u32, rows: u32) -> vec4<f32> {
  if (PAIR && second) {
    let inside = i < rows && v < p.a2_row;
    return select(vec4<f32>(), a_second[select(0u, i * p.a2_row + v, inside)], inside);
  }
  let inside = i < rows && v < p.a_row;
  return select(vec4<f32>(), a[select(0u, base + i * p.a_row + v, inside)], inside);
}

fn read_b(second: bool, base: u32, i: u32, v: u32, rows: u32) -> vec4<f32> {
  if (PAIR && second) {
    let inside = i < rows && v < p.b2_row;
    return select(vec4<f32>(), b_second[select(0u, i * p.b2_row + v, inside)], inside);
  }
  let inside = i < rows && v < p.b_row;
  return select(vec4<f32>(), b[select(0u, base + i * p.b_row + v, inside)], inside);
}

// 4 x 4 block of an operand that runs along k, at row i and vector v: vectors of 4 rows at each k.
fn a_by_k(second: bool, base: u32, i: u32, v: u32, k_end: u32) -> mat4x4<f32> {
  let rows = select(p.m, 0u, 4u * v >= k_end);
  return transpose(mat4x4<f32>(
    read_a(second, base, i, v, rows), read_a(second, base, i + 1u, v, rows),
    read_a(second, base, i + 2u, v, rows), read_a(second, base, i + 3u, v, rows)));
}

fn b_by_k(second: bool, base: u32, i: u32, v: u32, k_end: u32) -> mat4x4<f32> {
  let rows = select(p.n, 0u, 4u * v >= k_end);
  return transpose(mat4x4<f32>(
    read_b(second, base, i, v, rows), read_b(second, base, i + 1u, v, rows),
    read_b(second, base, i + 2u, v, rows), read_b(second, base, i + 3u, v, rows)));
}

fn store_row(v: vec4<f32>, base: u32, i: u32, j: u32) {
  if (i >= p.m) { return; }
  let at = base + i * p.n + j;
  if (j < p.n) { y[at] = epilogue(v.x, at); }
  if (j + 1u < p.n) { y[at + 1u] = epilogue(v.y, at + 1u); }
  if (j + 2u < p.n) { y[at + 2u] = epilogue(v.z, at + 2u); }
  if (j + 3u < p.n) { y[at + 3u] = epilogue(v.w, at + 3u); }
}

@compute @workgroup_size(THREADS, THREADS)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_id) lid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let side = 4u * THREADS;
  let tiles_n = (p.n + side - 1u) / side;
  let tiles_m = (p.m + side - 1u) / side;
  let tile = wid.x + wid.y * grid.x;
  let j0 = tile % tiles_n * side;
  let i0 = tile / tiles_n % tiles_m * side;
  let part = tile / (tiles_n * tiles_m);
  // A part beyond the last runs empty loops.
  let g = part % p.groups;
  let k_begin = part / p.groups * p.k_split;
  let k_end = select(0u, min(k_begin + p.k_split, p.k), part < p.groups * p.splits);

  var c = mat4x4<f32>();
  let items_end = min((g + 1u) * p.group, p.items);
  for (var item = g * p.group; item < items_end; item++) {
    let base = item_offsets(item);
    let second = PAIR && item == 1u;
    let end = select(k_end, p.k2, second);
    for (var k0 = k_begin; k0 < end; k0 += STEP) {
      workgroupBarrier();
      // STEP * THREADS vectors of each operand, spread over the THREADS * THREADS invocations.
      for (var t = lane; t < STEP * THREADS; t += THREADS * THREADS) {
        if (TRANSPOSE_A) {
          let k = t / THREADS;
          a_tile[k * (THREADS + 1u) + t % THREADS] =
            read_a(second, base.x, k0 + k, i0 / 4u + t % THREADS, end);
        }
        if (!TRANSPOSE_B) {
          let k = t / THREADS;
          b_tile[k * (THREADS + 1u) + t % THREADS] =
            read_b(second, base.y, k0 + k, j0 / 4u + t % THREADS, end);
        }
      }
      // Operands that run along k: a 4 x 4 block is read and turned at once.
      for (var t = lane; t < STEP / 4u * THREADS; t += THREADS * THREADS) {
        let q = t % (STEP / 4u);
        let r = t / (STEP / 4u);
        let at = 4u * q * (THREADS + 1u) + r;
        if (!TRANSPOSE_A) {
          let turned = a_by_k(second, base.x, i0 + 4u * r, k0 / 4u + q, end);
          a_tile[at] = turned[0];
          a_tile[at + (THREADS + 1u)] = turned[1];
          a_tile[at + 2u * (THREADS + 1u)] = turned[2];
          a_tile[at + 3u * (THREADS + 1u)] = turned[3];
        }
        if (TRANSPOSE_B) {
          let turned = b_by_k(second, base.y, j0 + 4u * r, k0 / 4u + q, end);
          b_tile[at] = turned[0];
          b_tile[at + (THREADS + 1u)] = turned[1];
          b_tile[at + 2u * (THREADS + 1u)] = turned[2];
          b_tile[at + 3u * (THREADS + 1u)] = turned[3];
        }
      }
      workgroupBarrier();
      for (var k = 0u; k < STEP; k++) {
        let av = a_tile[k * (THREADS + 1u) + lid.y];
        let bv = b_tile[k * (THREADS + 1u) + lid.x];
        c[0] += av.x * bv;
        c[1] += av.y * bv;
        c[2] += av.z * bv;
        c[3] += av.w * bv;
      }
    }
  }

  if (part >= p.groups * p.splits) { return; }
  let at = part * p.m * p.n;
  let i = i0 + 4u * lid.y;
  let j = j0 + 4u * lid.x;
  store_row(c[0], at, i, j);
  store_row(c[1], at, i + 1u, j);
  store_row(c[2], at, i + 2u, j);
  store_row(c[3], at, i + 3u, j);
}
