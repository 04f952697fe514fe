// The kernels of both builds (relaxed and baseline): every exported name is an op kind or a packing routine.
export {};
