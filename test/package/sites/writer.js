/** The HyperLSTM that the sites share: 12 symbols, 16 units, 8 in the hyper cell, N_z 4. */
export const sizes = { inputs: 12, units: 16, hyperUnits: 8, nz: 4 };

/** What it is given, and how much it adds. */
export const prompt = [3, 1, 4];
export const length = 9;
