// Entry points of the packed layouts, for `linear`, `expertLinear` and `embed` to hand over to.
export { packedEmbedRow } from './packed-embed';
export { packedExpertLinear, packedLinear } from './packed-linear';
