// dump(name): Callgrind writes what it counted since the last dump, under that name, and starts anew.
#include <node_api.h>
#include <valgrind/callgrind.h>

static napi_value dump(napi_env env, napi_callback_info info) {
  char name[100];
  size_t count = 1, length;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  napi_get_value_string_utf8(env, argument, name, sizeof name, &length);
  CALLGRIND_DUMP_STATS_AT(name);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "dump", NAPI_AUTO_LENGTH, dump, NULL, &function);
  napi_set_named_property(env, exports, "dump", function);
  return exports;
}
