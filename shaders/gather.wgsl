// Rows of a table: y[i, d] = table[indices[i], d]. table [entries, width], indices [count] (i32
// bound as u32: negative ones become large), y [count, width], all as 32-bit words. An index
// outside the table gives a row of `invalid` (NaN for f32): what an unchecked read returns
// differs by runtime. One element an invocation; gather_vec4 takes four where rows allow it.
override WORKGROUP: u32 = 64u;

struct Params {
  elements: u32, // of y
  entries: u32,
  width: u32,
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
  if (i >= p.elements) { return; }
  let position = i / p.width;
  let entry = indices[position];
  let valid = entry < p.entries;
  let source = select(0u, entry, valid) * p.width + i - position * p.width;
  y[i] = select(p.invalid, table[source], valid);
}
