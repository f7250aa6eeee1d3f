// Batched matrix product without workgroup memory: y[g, m, n] = sum over k of a[m, k] b[k, n].
//
// a: rows of 4-element vectors, [items, M, K] or, with TRANSPOSE_A, [items, K, M]
// b: likewise [items, K, N] or, with TRANSPOSE_B, [items, N, K]
// y: [groups, M, N]; with splits > 1 partial sums [splits, groups, M, N]
// The inner axis of a and b is a multiple of 4 (matmul_pack pads it with zeros).
// With PAIR also + sum over k of a_second[m, k] b_second[k, n], stored like a and b, for one item and
// one split; K and K2 are multiples of 4, a is not transposed. Without PAIR the two are not read.
//
// One invocation makes ROWS x COLS outputs in steps of 4 along k. The three 4 x 4 blocks of a step
// are matrices: with A[r] = 4 values along k and B[k] = 4 columns, C[r] += (B * A)[r], and a
// transposed operand differs by one `transpose`. Software adapters pay some ten times more for a
// load than for a multiply-add, whatever the pattern of addresses, so all that counts is outputs
// per loaded value: (ROWS COLS) / (ROWS + COLS). Unused blocks vanish with the overrides.
//
// With subgroups (the twin that shaders/plugin.mjs makes of the lines marked so) four invocations make
// a square of 2 x 2 blocks: two of them have the same rows, two the same columns. Each loads half of
// either, its own, and takes the other half from its neighbour: half the loads, in time and in code.
// Rows and columns are in the order own, other.
// subgroups: enable subgroups;
override ROWS: u32 = 16u; // 4, 8 or 16
override COLS: u32 = 8u; // 4, 8 or 16
override LANES: u32 = 8u; // blocks in a workgroup
override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;
// Whether K is no multiple of 4 and may be the outer axis of an operand.
override TAIL: bool = true;
override PAIR: bool = false;
// Blocks along a side of what a group of invocations makes.
const SIDE = 1u; // subgroups: const SIDE = 2u;

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
  // 1: operands of the epilogue have a row for each of y, else one for each batch item.
  whole: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> a_second: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b_second: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

// `row` is where the operand's row begins, in a [groups, N] operand the batch item's, `column` the place in
// it: biases and addends are read by these, so that products of all sizes share one compiled kernel.
fn epilogue(x: f32, i: u32, row: u32, column: u32) -> f32 { return x; }

// Offsets in a (x) and b (y) of a batch item.
fn item_offsets(item: u32) -> vec2<u32> {
  if (p.items == 1u) { return vec2<u32>(0u); }
  let s = p.sizes;
  let at = vec4<u32>(item / (s.y * s.z * s.w), item / (s.z * s.w) % s.y, item / s.w % s.z, item % s.w);
  let oa = at * p.a_strides;
  let ob = at * p.b_strides;
  return vec2<u32>(oa.x + oa.y + oa.z + oa.w, ob.x + ob.y + ob.z + ob.w);
}

// Rows i..i+3 of `count`, the last one repeated.
fn rows(i: u32, count: u32, row: u32) -> vec4<u32> {
  return min(vec4<u32>(i, i + 1u, i + 2u, i + 3u), vec4<u32>(count - 1u)) * row;
}

// Where rows or columns i..i+3 of a begin: four rows that run along k (those beyond the last repeat
// it), or one vector in each row along k.
fn start_a(base: u32, i: u32) -> vec4<u32> {
  if (TRANSPOSE_A) { return vec4<u32>(base + min(i / 4u, p.a_row - 1u)); }
  return base + rows(i, p.m, p.a_row);
}

fn start_b(base: u32, j: u32) -> vec4<u32> {
  if (!TRANSPOSE_B) { return vec4<u32>(base + min(j / 4u, p.b_row - 1u)); }
  return base + rows(j, p.n, p.b_row);
}

// The vector at k of an operand whose rows lie along k; zero from K on.
fn a_at(start: u32, k: u32) -> vec4<f32> {
  if (!TAIL) { return a[start + k * p.a_row]; }
  return select(vec4<f32>(), a[start + min(k, p.k - 1u) * p.a_row], k < p.k);
}

fn b_at(start: u32, k: u32) -> vec4<f32> {
  if (!TAIL) { return b[start + k * p.b_row]; }
  return select(vec4<f32>(), b[start + min(k, p.k - 1u) * p.b_row], k < p.k);
}

// Four rows of a at k..k+3: column r is row r along k.
fn load_a(start: vec4<u32>, k: u32) -> mat4x4<f32> {
  if (TRANSPOSE_A) {
    return transpose(mat4x4<f32>(
      a_at(start.x, k), a_at(start.x, k + 1u), a_at(start.x, k + 2u), a_at(start.x, k + 3u)));
  }
  let v = start + k / 4u;
  return mat4x4<f32>(a[v.x], a[v.y], a[v.z], a[v.w]);
}

// Four columns of b at k..k+3: column s is k + s along n.
fn load_b(start: vec4<u32>, k: u32) -> mat4x4<f32> {
  if (!TRANSPOSE_B) {
    return mat4x4<f32>(
      b_at(start.x, k), b_at(start.x, k + 1u), b_at(start.x, k + 2u), b_at(start.x, k + 3u));
  }
  let v = start + k / 4u;
  return transpose(mat4x4<f32>(b[v.x], b[v.y], b[v.z], b[v.w]));
}

fn start_b_second(j: u32) -> vec4<u32> {
  if (!TRANSPOSE_B) { return vec4<u32>(min(j / 4u, p.b2_row - 1u)); }
  return rows(j, p.n, p.b2_row);
}

fn load_a_second(start: vec4<u32>, k: u32) -> mat4x4<f32> {
  let v = start + k / 4u;
  return mat4x4<f32>(a_second[v.x], a_second[v.y], a_second[v.z], a_second[v.w]);
}

fn load_b_second(start: vec4<u32>, k: u32) -> mat4x4<f32> {
  if (!TRANSPOSE_B) {
    let at = start.x + k * p.b2_row;
    return mat4x4<f32>(
      b_second[at], b_second[at + p.b2_row],
      b_second[at + 2u * p.b2_row], b_second[at + 3u * p.b2_row]);
  }
  let v = start + k / 4u;
  return transpose(mat4x4<f32>(b_second[v.x], b_second[v.y], b_second[v.z], b_second[v.w]));
}

// The other half of the rows, which the neighbour in x has loaded, and of the columns, of that in y.
fn other_a(own: mat4x4<f32>, start: vec4<u32>, k: u32) -> mat4x4<f32> {
  return load_a(start, k); // subgroups: return swap_x(own);
}

fn other_b(own: mat4x4<f32>, start: vec4<u32>, k: u32) -> mat4x4<f32> {
  return load_b(start, k); // subgroups: return swap_y(own);
}

fn other_a_second(own: mat4x4<f32>, start: vec4<u32>, k: u32) -> mat4x4<f32> {
  return load_a_second(start, k); // subgroups: return swap_x(own);
}

fn other_b_second(own: mat4x4<f32>, start: vec4<u32>, k: u32) -> mat4x4<f32> {
  return load_b_second(start, k); // subgroups: return swap_y(own);
}

// subgroups: fn swap_x(m: mat4x4<f32>) -> mat4x4<f32> {
// subgroups:   return mat4x4<f32>(quadSwapX(m[0]), quadSwapX(m[1]), quadSwapX(m[2]), quadSwapX(m[3]));
// subgroups: }

// subgroups: fn swap_y(m: mat4x4<f32>) -> mat4x4<f32> {
// subgroups:   return mat4x4<f32>(quadSwapY(m[0]), quadSwapY(m[1]), quadSwapY(m[2]), quadSwapY(m[3]));
// subgroups: }

// The rows of four blocks below each other move up by one.
fn up(c: mat4x4<f32>, next: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(c[1], c[2], c[3], next[0]);
}

// Columns j..j+3 of a row of y that begins at `start`; those from N on are left out.
fn store_row(v: vec4<f32>, start: u32, row: u32, j: u32) {
  let at = start + j;
  if (j < p.n) { y[at] = epilogue(v.x, at, row, j); }
  if (j + 1u < p.n) { y[at + 1u] = epilogue(v.y, at + 1u, row, j + 1u); }
  if (j + 2u < p.n) { y[at + 2u] = epilogue(v.z, at + 2u, row, j + 2u); }
  if (j + 3u < p.n) { y[at + 3u] = epilogue(v.w, at + 3u, row, j + 3u); }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_id) lid: vec3<u32>,
) {
  let tiles_n = (p.n + SIDE * COLS - 1u) / (SIDE * COLS);
  let tiles_m = (p.m + SIDE * ROWS - 1u) / (SIDE * ROWS);
  let tile = (wid.x + wid.y * grid.x) * LANES + lid.x; // subgroups: let tile = wid.x + wid.y * grid.x;
  let lane = vec2<u32>(); // subgroups: let lane = vec2<u32>(lid.x % 2u, lid.x / 2u);
  let j = (tile % tiles_n * SIDE + lane.x) * COLS;
  let i = (tile / tiles_n % tiles_m * SIDE + lane.y) * ROWS;
  // Half a block's rows and columns; one of 4 is not halved.
  let half = select(vec2<u32>(ROWS, COLS) / 2u, vec2<u32>(), vec2<u32>(ROWS, COLS) == vec2<u32>(4u));
  let own = vec2<u32>(i, j) + lane * half;
  let other = vec2<u32>(i, j) + half - lane * half;
  let part = tile / (tiles_n * tiles_m);
  if (part >= p.groups * p.splits) { return; }
  let g = part % p.groups;
  let k_begin = part / p.groups * p.k_split;
  let k_end = min(k_begin + p.k_split, p.k);

  var c00 = mat4x4<f32>(); var c01 = mat4x4<f32>(); var c02 = mat4x4<f32>(); var c03 = mat4x4<f32>();
  var c10 = mat4x4<f32>(); var c11 = mat4x4<f32>(); var c12 = mat4x4<f32>(); var c13 = mat4x4<f32>();
  var c20 = mat4x4<f32>(); var c21 = mat4x4<f32>(); var c22 = mat4x4<f32>(); var c23 = mat4x4<f32>();
  var c30 = mat4x4<f32>(); var c31 = mat4x4<f32>(); var c32 = mat4x4<f32>(); var c33 = mat4x4<f32>();
  let items_end = min((g + 1u) * p.group, p.items);
  for (var item = g * p.group; item < items_end; item++) {
    let base = item_offsets(item);
    let sb0 = start_b(base.y, own.y);
    let sb1 = start_b(base.y, own.y + 4u);
    let sb2 = start_b(base.y, other.y);
    let sb3 = start_b(base.y, other.y + 4u);
    let sa0 = start_a(base.x, own.x);
    let sa1 = start_a(base.x, own.x + 4u);
    let sa2 = start_a(base.x, other.x);
    let sa3 = start_a(base.x, other.x + 4u);
    for (var k = k_begin; k < k_end; k += 4u) {
      let b0 = load_b(sb0, k);
      var b1 = mat4x4<f32>(); var b2 = mat4x4<f32>(); var b3 = mat4x4<f32>();
      if (COLS == 8u) { b1 = other_b(b0, sb2, k); }
      if (COLS > 8u) {
        b1 = load_b(sb1, k);
        b2 = other_b(b0, sb2, k);
        b3 = other_b(b1, sb3, k);
      }
      let a0 = load_a(sa0, k);
      c00 += b0 * a0;
      if (COLS > 4u) { c01 += b1 * a0; }
      if (COLS > 8u) { c02 += b2 * a0; c03 += b3 * a0; }
      var a1 = mat4x4<f32>();
      if (ROWS == 8u) { a1 = other_a(a0, sa2, k); }
      if (ROWS > 8u) { a1 = load_a(sa1, k); }
      if (ROWS > 4u) {
        c10 += b0 * a1;
        if (COLS > 4u) { c11 += b1 * a1; }
        if (COLS > 8u) { c12 += b2 * a1; c13 += b3 * a1; }
      }
      if (ROWS > 8u) {
        let a2 = other_a(a0, sa2, k);
        c20 += b0 * a2;
        if (COLS > 4u) { c21 += b1 * a2; }
        if (COLS > 8u) { c22 += b2 * a2; c23 += b3 * a2; }
        let a3 = other_a(a1, sa3, k);
        c30 += b0 * a3;
        if (COLS > 4u) { c31 += b1 * a3; }
        if (COLS > 8u) { c32 += b2 * a3; c33 += b3 * a3; }
      }
    }
  }
  // A loop of its own: a choice of buffer at each load would cost software adapters both loads.
  if (PAIR) {
    let sb0 = start_b_second(own.y);
    let sb1 = start_b_second(own.y + 4u);
    let sb2 = start_b_second(other.y);
    let sb3 = start_b_second(other.y + 4u);
    let sa0 = rows(own.x, p.m, p.a2_row);
    let sa1 = rows(own.x + 4u, p.m, p.a2_row);
    let sa2 = rows(other.x, p.m, p.a2_row);
    let sa3 = rows(other.x + 4u, p.m, p.a2_row);
    for (var k = 0u; k < p.k2; k += 4u) {
      let b0 = load_b_second(sb0, k);
      var b1 = mat4x4<f32>(); var b2 = mat4x4<f32>(); var b3 = mat4x4<f32>();
      if (COLS == 8u) { b1 = other_b_second(b0, sb2, k); }
      if (COLS > 8u) {
        b1 = load_b_second(sb1, k);
        b2 = other_b_second(b0, sb2, k);
        b3 = other_b_second(b1, sb3, k);
      }
      let a0 = load_a_second(sa0, k);
      c00 += b0 * a0;
      if (COLS > 4u) { c01 += b1 * a0; }
      if (COLS > 8u) { c02 += b2 * a0; c03 += b3 * a0; }
      var a1 = mat4x4<f32>();
      if (ROWS == 8u) { a1 = other_a_second(a0, sa2, k); }
      if (ROWS > 8u) { a1 = load_a_second(sa1, k); }
      if (ROWS > 4u) {
        c10 += b0 * a1;
        if (COLS > 4u) { c11 += b1 * a1; }
        if (COLS > 8u) { c12 += b2 * a1; c13 += b3 * a1; }
      }
      if (ROWS > 8u) {
        let a2 = other_a_second(a0, sa2, k);
        c20 += b0 * a2;
        if (COLS > 4u) { c21 += b1 * a2; }
        if (COLS > 8u) { c22 += b2 * a2; c23 += b3 * a2; }
        let a3 = other_a_second(a1, sa3, k);
        c30 += b0 * a3;
        if (COLS > 4u) { c31 += b1 * a3; }
        if (COLS > 8u) { c32 += b2 * a3; c33 += b3 * a3; }
      }
    }
  }

  let at = part * p.m * p.n;
  // Row by row, the blocks moving up: software adapters take milliseconds to compile a store, and
  // accumulators that are indexed would not be kept in registers.
  for (var r = 0u; r < ROWS; r++) {
    // The half's bit flipped where the own half is the second one.
    let row = i + (r ^ (lane.x * half.x));
    if (row < p.m) {
      let start = at + row * p.n;
      let operand_row = select(g * p.n, start, p.whole == 1u);
      store_row(c00[0], start, operand_row, own.y);
      if (COLS == 8u) { store_row(c01[0], start, operand_row, other.y); }
      if (COLS > 8u) {
        store_row(c01[0], start, operand_row, own.y + 4u);
        store_row(c02[0], start, operand_row, other.y);
        store_row(c03[0], start, operand_row, other.y + 4u);
      }
    }
    c00 = up(c00, c10);
    if (COLS > 4u) { c01 = up(c01, c11); }
    if (COLS > 8u) { c02 = up(c02, c12); c03 = up(c03, c13); }
    if (ROWS > 4u) {
      c10 = up(c10, c20);
      if (COLS > 4u) { c11 = up(c11, c21); }
      if (COLS > 8u) { c12 = up(c12, c22); c13 = up(c13, c23); }
    }
    if (ROWS > 8u) {
      c20 = up(c20, c30); c30 = up(c30, c30);
      if (COLS > 4u) { c21 = up(c21, c31); c31 = up(c31, c31); }
      if (COLS > 8u) {
        c22 = up(c22, c32); c23 = up(c23, c33);
        c32 = up(c32, c32); c33 = up(c33, c33);
      }
    }
  }
}
