// Rows of kernels.list whose bodies are still to come.
constexpr decltype(nullptr) depthwiseForward = nullptr;
constexpr decltype(nullptr) depthwiseBackwardData = nullptr;
constexpr decltype(nullptr) depthwiseBackwardFilter = nullptr;
