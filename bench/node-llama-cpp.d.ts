// What the measurements use of the peers, so that types are checked where the peers are not installed.

declare module 'node-llama-cpp' {
  export type Token = number & { readonly __token: never };
  export const LlamaLogLevel: { readonly error: 'error' };
  export function getLlama(options: {
    gpu: false;
    build: 'never';
    logLevel: 'error';
    maxThreads: number;
  }): Promise<Llama>;

  export interface Llama {
    loadModel(options: { modelPath: string }): Promise<LlamaModel>;
  }

  export interface LlamaModel {
    /** Keys of the file's metadata, nested where they have dots. */
    readonly fileInfo: { readonly metadata: { readonly general: { readonly architecture: string } } };
    createContext(options: {
      contextSize: number;
      sequences?: number;
      batchSize: number;
      threads: number;
      flashAttention?: boolean;
      experimentalKvCacheKeyType?: 'F32' | 'Q8_0';
      experimentalKvCacheValueType?: 'F32' | 'Q8_0';
    }): Promise<LlamaContext>;
  }

  export interface LlamaContext {
    getSequence(): LlamaContextSequence;
    dispose(): Promise<void>;
  }

  export interface LlamaContextSequence {
    readonly nextTokenIndex: number;
    readonly needsCheckpoints: boolean;
    takeCheckpoint(): Promise<void>;
    clearHistory(): Promise<void>;
    adaptStateToTokens(tokens: Token[], allowShift: boolean): Promise<void>;
    evaluate(
      tokens: Token[],
      options: { temperature: number; yieldEogToken: boolean },
    ): AsyncGenerator<Token, void, void>;
    evaluateWithoutGeneratingNewTokens(tokens: Token[]): Promise<void>;
    controlledEvaluate(
      input: [Token, { generateNext: { probabilities: true } }][],
    ): Promise<({ next: { probabilities: Map<Token, number> } } | undefined)[]>;
    saveStateToFile(path: string): Promise<{ fileSize: number }>;
    loadStateFromFile(path: string, risk: { acceptRisk: true }): Promise<void>;
  }
}
