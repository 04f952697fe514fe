// Which matrices can be packed, for the model's choice of layouts.

import { hasPackedLayout } from '../../plan/layouts.ts';
import type { PackingRules } from '../backend.ts';
import { canPack, packedByteLength } from './kernels/layouts/tile.ts';

export const packingRules: PackingRules = {
  canPack: (type, rows, columns) => hasPackedLayout(type) && canPack(type, rows, columns),
  packedByteLength: (type, rows, columns) => packedByteLength(type, rows, columns),
};
