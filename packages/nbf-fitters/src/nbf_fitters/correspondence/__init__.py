"""The ``correspondence`` fitter: pixels matched to kernels, then robust Gauss-Newton. Imports no torch by itself."""
