// What the measurements use of transformers.js, so that types are checked where it is not installed.

declare module '@huggingface/transformers' {
  export const env: { allowRemoteModels: boolean; localModelPath: string };

  export type Embedder = (
    texts: readonly string[],
    options: { pooling: 'mean'; normalize: boolean },
  ) => Promise<{ readonly data: Float32Array }>;

  export function pipeline(
    task: 'feature-extraction',
    model: string,
    options: {
      dtype: 'fp32' | 'q8';
      device: 'cpu';
      session_options: { intraOpNumThreads: number; interOpNumThreads: number };
    },
  ): Promise<Embedder>;
}
