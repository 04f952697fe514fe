// Which matrices can be packed, for the model's choice of layouts.
import type { PackingRules } from '../../model/weights.ts';
import { hasPackedLayout } from '../../plan/layouts.ts';
import { canPack, packedByteLength } from './packed/layout.ts';

export const packingRules: PackingRules = {
  canPack: (type, rows, columns) => hasPackedLayout(type) && canPack(type, rows, columns),
  packedByteLength: (type, rows, columns) => packedByteLength(type, rows, columns),
};
