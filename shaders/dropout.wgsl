// Dropout: y[i] = x[i] / keep where the random word of element i is below threshold = keep *
// 2^32, else 0. x and y [elements] f32. Element i uses word i % 4 of the Philox-4x32-10 block
// (Salmon et al., SC 2011) with key (key[0], key[1]) and counter (i / 4, site, key[2], key[3]),
// the function of src/graph/random.ts: the mask is an integer comparison, equal on every
// adapter. Four elements, one block, an invocation.
override WORKGROUP: u32 = 64u;

struct Params {
  elements: u32,
  site: u32,
  threshold: u32,
  keep: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> key: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> p: Params;

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
  let q = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  let i = q * 4u;
  if (i >= p.elements) { return; }
  let words = philox(key[0], key[1], vec4<u32>(q, p.site, key[2], key[3]));
  // Lanes behind the last element are written as 0: y may lie in a slab, whose padding is zero.
  let live = vec4<u32>(i, i + 1u, i + 2u, i + 3u) < vec4<u32>(p.elements);
  let kept = live & (words < vec4<u32>(p.threshold));
  y[q] = select(vec4<f32>(), x[q] / p.keep, kept);
}
