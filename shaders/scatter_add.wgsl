// Gradient of gather: dtable[v, d] = sum of dy[i, d] over the positions i with indices[i] = v, in the
// order of i: no atomics, the same bits every time. indices [count] (u32, or i32 as u32), dy
// [count, width], dtable [entries, width]; indices outside the table match nothing.
// An invocation owns 16 columns of one entry and runs over all indices, four to a load: with 16
// columns a scan costs less than the additions it finds, and invocations of one entry, which lie
// side by side, branch alike. Positions are cut into spans so that no loop exceeds 32,768 trips.
override WORKGROUP: u32 = 64u;
override SPAN: u32 = 4096u; // loads of four indices in the inner loop

struct Params {
  count: u32,
  entries: u32,
  width: u32,
  blocks: u32, // of 16 columns in a row
}

@group(0) @binding(0) var<storage, read> indices: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dtable: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<private> s0: vec4<f32>;
var<private> s1: vec4<f32>;
var<private> s2: vec4<f32>;
var<private> s3: vec4<f32>;

// Four columns of dy from flat index k on; those from `live` on are not the row's.
fn four(k: u32, live: u32) -> vec4<f32> {
  var v = vec4<f32>();
  if (live > 3u) {
    v = vec4<f32>(dy[k], dy[k + 1u], dy[k + 2u], dy[k + 3u]);
  } else {
    if (live > 0u) { v.x = dy[k]; }
    if (live > 1u) { v.y = dy[k + 1u]; }
    if (live > 2u) { v.z = dy[k + 2u]; }
  }
  return v;
}

fn accumulate(position: u32, column: u32) {
  let k = position * p.width + column;
  let live = p.width - column;
  s0 += four(k, live);
  s1 += four(k + 4u, max(live, 4u) - 4u);
  s2 += four(k + 8u, max(live, 8u) - 8u);
  s3 += four(k + 12u, max(live, 12u) - 12u);
}

fn store(k: u32, live: u32, v: vec4<f32>) {
  if (live > 0u) { dtable[k] = v.x; }
  if (live > 1u) { dtable[k + 1u] = v.y; }
  if (live > 2u) { dtable[k + 2u] = v.z; }
  if (live > 3u) { dtable[k + 3u] = v.w; }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.entries * p.blocks) { return; }
  let entry = i / p.blocks;
  let column = (i - entry * p.blocks) * 16u;
  let fours = p.count / 4u;
  for (var start = 0u; start < fours; start += SPAN) {
    let end = min(start + SPAN, fours);
    for (var q = start; q < end; q++) {
      let match4 = indices[q] == vec4<u32>(entry);
      if (any(match4)) {
        if (match4.x) { accumulate(q * 4u, column); }
        if (match4.y) { accumulate(q * 4u + 1u, column); }
        if (match4.z) { accumulate(q * 4u + 2u, column); }
        if (match4.w) { accumulate(q * 4u + 3u, column); }
      }
    }
  }
  // The last one to three indices; the lanes behind them hold anything.
  let tail = p.count - fours * 4u;
  if (tail > 0u) {
    let match4 = indices[fours] == vec4<u32>(entry);
    if (match4.x) { accumulate(fours * 4u, column); }
    if (match4.y && tail > 1u) { accumulate(fours * 4u + 1u, column); }
    if (match4.z && tail > 2u) { accumulate(fours * 4u + 2u, column); }
  }
  let k = entry * p.width + column;
  let live = p.width - column;
  store(k, live, s0);
  store(k + 4u, max(live, 4u) - 4u, s1);
  store(k + 8u, max(live, 8u) - 8u, s2);
  store(k + 12u, max(live, 12u) - 12u, s3);
}
