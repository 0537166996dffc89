# Builds the addon that is shipped. Kept out of the published package: npm would run node-gyp wherever it finds this file.
{
  "targets": [
    {
      "target_name": "chainrule",
      "sources": ["<!@(node scripts/sources.mjs --header build/generated/build_info.h)"],
      "include_dirs": ["native", "build/generated"],
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
      "defines": ["NAPI_VERSION=9", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "NDEBUG"],
      "cflags_cc!": ["-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++20", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"],
      "conditions": [
        ["OS=='linux'", {
          # Fields that designated initializers leave out are meant; the others are about GCC's own headers.
          "cflags_cc": ["-fopenmp", "-Wno-missing-field-initializers", "-Wno-maybe-uninitialized", "-Wno-restrict"],
          "ldflags": [
            "-fopenmp",
            "-static-libstdc++",
            "-Wl,--gc-sections",
            "-Wl,-z,nodelete",
            "-Wl,--disable-new-dtags",
            "-Wl,-rpath,'$$ORIGIN'",
            "-Wl,--exclude-libs,ALL"
          ]
        }],
        ["OS=='mac'", {
          "defines": ["CHAINRULE_TEAM_STDTHREAD"],
          "xcode_settings": {
            "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
            "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
            "GCC_ENABLE_CPP_RTTI": "YES",
            "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
            "MACOSX_DEPLOYMENT_TARGET": "12.0",
            "OTHER_CFLAGS": ["-O3", "-ffp-contract=off", "-fno-math-errno"]
          }
        }]
      ]
    }
  ]
}
