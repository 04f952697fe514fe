// How a model is cut over several arenas, each of at most 4 GiB: between layers. The embedding, the last norm and
// the head, which may be one matrix with the embedding, lie in the first arena, with the first layers; rows of
// the hidden state come back to it from the last.

/**
 * Layers before which another arena begins, ascending; 0 leaves the model's own weights alone in the first. None
 * where one arena holds the model.
 */
export type Cuts = readonly number[];

/** The number of the arena that holds a layer; layer -1 stands for the model's own weights. */
export const arenaOf = (cuts: Cuts, layer: number): number => cuts.filter((cut) => cut <= layer).length;
