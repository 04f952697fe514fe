// What the measurements use of web-xgrammar, so that types are checked where it is not installed. In Node its module
// exports nothing: it leaves a global variable.

declare module '@mlc-ai/web-xgrammar' {}

interface XgrammarDisposable {
  dispose(): void;
}

interface XgrammarCompiler extends XgrammarDisposable {
  compileJSONSchema(
    schema: string,
    anyWhitespace: boolean,
    indent?: number,
    separators?: [string, string],
    strict?: boolean,
  ): Promise<XgrammarDisposable>;
}

interface XgrammarMatcher extends XgrammarDisposable {
  getNextTokenBitmask(): Promise<Int32Array>;
  acceptToken(token: number): boolean;
}

declare var xgrammar: {
  readonly TokenizerInfo: {
    createTokenizerInfo(
      vocabulary: readonly string[],
      kind: 'byte_level' | 'byte_fallback' | 'raw',
      prependSpace: boolean,
      size: number,
      stopTokens: number[],
    ): Promise<object>;
  };
  readonly GrammarCompiler: {
    createGrammarCompiler(info: object, cache: boolean): Promise<XgrammarCompiler>;
  };
  readonly GrammarMatcher: {
    createGrammarMatcher(grammar: XgrammarDisposable): Promise<XgrammarMatcher>;
  };
};
