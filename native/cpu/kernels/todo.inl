// Rows of kernels.list whose bodies are still to come.
constexpr decltype(nullptr) convForward = nullptr;
constexpr decltype(nullptr) convPackTransposed = nullptr;
constexpr decltype(nullptr) convBackwardData = nullptr;
constexpr decltype(nullptr) convBackwardFilter = nullptr;
constexpr decltype(nullptr) depthwiseForward = nullptr;
constexpr decltype(nullptr) depthwiseBackwardData = nullptr;
constexpr decltype(nullptr) depthwiseBackwardFilter = nullptr;
