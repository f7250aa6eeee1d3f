// Gradient of pooling, of the maximum or (MEAN) of the mean: dx[n, h, w] = sum of dy[n, i, j] over the
// windows (i, j) whose winner is (h, w), or of dy[n, i, j] / count(i, j) over the windows over (h, w),
// count being what pool2d divided by. x and dx [planes, height, width], dy [planes, out_height,
// out_width]. The winner follows from x, which MEAN does not look at: the first maximum in row-major
// order within the window, the last NaN if there is any. One input element an invocation, which goes
// through every window over it: right for overlapping windows, in a fixed order and without atomics.
override WORKGROUP: u32 = 64u;
override MEAN: bool = false;
override COUNT_PADDING: bool = true;

struct Params {
  count: u32, // inputs
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  size_h: u32,
  size_w: u32,
  stride_h: u32,
  stride_w: u32,
  pad_top: u32,
  pad_left: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

fn nan_bits(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

// Whether element i of value v wins the window at output (row, column): no later element takes the
// lead from it, and it would have taken it from every earlier one. Ends at the first that differs.
fn wins(i: u32, v: f32, plane: u32, row: u32, column: u32) -> bool {
  let top = max(row * p.stride_h, p.pad_top) - p.pad_top;
  let bottom = min(row * p.stride_h + p.size_h, p.height + p.pad_top) - p.pad_top;
  let left = max(column * p.stride_w, p.pad_left) - p.pad_left;
  let right = min(column * p.stride_w + p.size_w, p.width + p.pad_left) - p.pad_left;
  let v_nan = nan_bits(v);
  for (var h = top; h < bottom; h++) {
    let start = (plane * p.height + h) * p.width;
    for (var k = start + left; k < start + right; k++) {
      let u = x[k];
      if (k < i && !(v_nan || (v > u && !nan_bits(u)))) { return false; }
      if (k > i && (nan_bits(u) || (u > v && !v_nan))) { return false; }
    }
  }
  return true;
}

// Elements of the window number k along an axis that the mean divides by.
fn counted(k: u32, size: u32, stride: u32, pad: u32, length: u32) -> u32 {
  let covered = min(k * stride + size, length + pad) - max(k * stride, pad);
  return select(covered, size, COUNT_PADDING);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.count) { return; }
  let line = i / p.width;
  let plane = line / p.height;
  let h = line % p.height + p.pad_top;
  let w = i % p.width + p.pad_left;
  // Windows over padded coordinate h are those with row * stride <= h < row * stride + size.
  let first_row = select(0u, (h - min(h, p.size_h)) / p.stride_h + 1u, h >= p.size_h);
  let first_column = select(0u, (w - min(w, p.size_w)) / p.stride_w + 1u, w >= p.size_w);
  let end_row = min(h / p.stride_h + 1u, p.out_height);
  let end_column = min(w / p.stride_w + 1u, p.out_width);
  let v = x[i];
  var sum = 0.0;
  for (var row = first_row; row < end_row; row++) {
    let start = (plane * p.out_height + row) * p.out_width;
    let rows = counted(row, p.size_h, p.stride_h, p.pad_top, p.height);
    var part = 0.0;
    for (var column = first_column; column < end_column; column++) {
      if (MEAN) {
        let columns = counted(column, p.size_w, p.stride_w, p.pad_left, p.width);
        part += dy[start + column] / f32(rows * columns);
      } else if (wins(i, v, plane, row, column)) {
        sum += dy[start + column];
      }
    }
    if (MEAN) { sum += part; }
  }
  dx[i] = epilogue(sum, i);
}
