// Rows of a table: y[i, d] = table[indices[i], d]. table [entries, width], indices [count] (i32 bound
// as u32: negative ones become large), y [count, width], all as 32-bit words. An index outside the
// table gives a row of `invalid` (NaN for f32): what an unchecked read returns differs by runtime.
// RUN elements of a row an invocation, one division for all.
override WORKGROUP: u32 = 64u;
override RUN: u32 = 4u;

struct Params {
  count: u32,
  entries: u32,
  width: u32,
  runs: u32, // in a row
  invalid: u32,
}

@group(0) @binding(0) var<storage, read> table: array<u32>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.count * p.runs) { return; }
  let position = i / p.runs;
  let entry = indices[position];
  let valid = entry < p.entries;
  let source = select(0u, entry, valid) * p.width;
  // Neighbouring invocations take neighbouring columns.
  var d = i - position * p.runs;
  for (var k = 0u; k < RUN && d < p.width; k++) {
    y[position * p.width + d] = select(p.invalid, table[source + d], valid);
    d += p.runs;
  }
}
