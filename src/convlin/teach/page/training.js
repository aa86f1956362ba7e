// One step of training of each form of a layer, all three started as the same map: gradient descent
// on half the sum of squared outputs, G = y·xᵀ, in each form's own weights.

const TRAINED = ["conv", "local", "linear"];

// For each form {before, after, fractions: [shared, apart, off], rate}, matrices as flat arrays;
// null where one entry holds several weights.
export function trained(scene) {
  const { rows, columns } = scene.matrix;
  const taps = tapsOf(scene);
  if (!taps) return null;
  const x = scene.input.values;
  const y = scene.output.values;
  const before = taps.map((tap) => (tap < 0 ? 0 : scene.kernel.values[tap]));
  const linear = taps.map((_, at) => y[Math.floor(at / columns)] * x[at % columns]);
  const local = linear.map((value, at) => (taps[at] < 0 ? 0 : value));
  const count = scene.kernel.values.length;
  const { sum } = byTap(local, taps, count);
  const conv = taps.map((tap) => (tap < 0 ? 0 : sum[tap]));
  const gradients = { conv, local, linear };
  const rate = rateOf(Object.values(gradients), x, y, rows, columns);
  return {
    rate,
    taps,
    ...Object.fromEntries(
      TRAINED.map((form) => {
        const step = gradients[form];
        const after = before.map((value, at) => value - rate * step[at]);
        return [form, { before, after, fractions: fractions(step, taps, count) }];
      }),
    ),
  };
}

// Which weight of the kernel each entry of the matrix holds, -1 where none.
function tapsOf({ places, matrix }) {
  const taps = new Array(matrix.rows * matrix.columns).fill(-1);
  for (const [row, column, tap] of places.reads()) {
    const at = row * matrix.columns + column;
    if (taps[at] >= 0) return null;
    taps[at] = tap;
  }
  return taps;
}

function byTap(values, taps, count) {
  const sum = new Array(count).fill(0);
  const uses = new Array(count).fill(0);
  values.forEach((value, at) => {
    if (taps[at] < 0) return;
    sum[taps[at]] += value;
    uses[taps[at]]++;
  });
  return { sum, mean: sum.map((value, tap) => (uses[tap] ? value / uses[tap] : 0)) };
}

// The step's squared length, split: what all positions share, what each has of its own, what lies
// off the kernel.
function fractions(step, taps, count) {
  const { mean } = byTap(step, taps, count);
  const parts = [0, 0, 0];
  step.forEach((value, at) => {
    const tap = taps[at];
    if (tap < 0) parts[2] += value * value;
    else {
      parts[0] += mean[tap] ** 2;
      parts[1] += (value - mean[tap]) ** 2;
    }
  });
  const all = parts[0] + parts[1] + parts[2];
  return parts.map((part) => (all > 0 ? part / all : 0));
}

// The largest power of two below 2·(y·g)/|g|² of every form, so that every loss falls; 1 where
// nothing moves.
function rateOf(gradients, x, y, rows, columns) {
  let limit = Infinity;
  for (const step of gradients) {
    let first = 0;
    let second = 0;
    for (let row = 0; row < rows; row++) {
      let moved = 0;
      for (let column = 0; column < columns; column++)
        moved += step[row * columns + column] * x[column];
      first += y[row] * moved;
      second += moved * moved;
    }
    if (second > 0) limit = Math.min(limit, (2 * first) / second);
  }
  if (limit === Infinity) return 1;
  const exponent = Math.ceil(Math.log2(limit)) - 1;
  return 2 ** (2 ** (exponent + 1) < limit ? exponent + 1 : exponent);
}
