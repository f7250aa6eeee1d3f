// Masks of dropout: y[r, i] = 1 / keep where the random word of element i is below threshold = keep *
// 2^32, else 0. key [rows, 4] u32, y [rows, elements] f32. Element i of row r uses word i % 4 of the
// Philox-4x32-10 block (Salmon et al., SC 2011) with key (key[r, 0], key[r, 1]) and counter (i / 4,
// site, key[r, 2], key[r, 3]): the rule of dropout.wgsl, for many keys at once. Four elements, one
// block, an invocation; rows need not begin at a multiple of four.
override WORKGROUP: u32 = 64u;

struct Params {
  rows: u32,
  elements: u32, // of a row
  site: u32,
  threshold: u32,
  kept: f32, // 1 / keep
}

@group(0) @binding(0) var<storage, read> key: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

// The high word of a 64-bit product, by 16-bit halves.
fn high(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let mid = ah * bl + ((al * bl) >> 16u);
  return ah * bh + (mid >> 16u) + ((al * bh + (mid & 0xffffu)) >> 16u);
}

fn philox(key0: u32, key1: u32, counter: vec4<u32>) -> vec4<u32> {
  var c = counter;
  var k0 = key0;
  var k1 = key1;
  for (var round = 0u; round < 10u; round++) {
    c = vec4<u32>(
      high(0xcd9e8d57u, c.z) ^ c.y ^ k0,
      0xcd9e8d57u * c.z,
      high(0xd2511f53u, c.x) ^ c.w ^ k1,
      0xd2511f53u * c.x,
    );
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return c;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let blocks = (p.elements + 3u) / 4u;
  let q = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  let row = q / blocks;
  if (row >= p.rows) { return; }
  let block = q - row * blocks;
  let k = key[row];
  let words = philox(k.x, k.y, vec4<u32>(block, p.site, k.z, k.w));
  let kept = select(vec4<f32>(), vec4<f32>(p.kept), words < vec4<u32>(p.threshold));
  let left = p.elements - 4u * block;
  let at = row * p.elements + 4u * block;
  y[at] = kept.x;
  if (left > 1u) { y[at + 1u] = kept.y; }
  if (left > 2u) { y[at + 2u] = kept.z; }
  if (left > 3u) { y[at + 3u] = kept.w; }
}
