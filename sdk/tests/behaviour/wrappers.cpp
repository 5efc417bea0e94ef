// What reaches the table, and what does not after a fatal error (spec trb §1.4).
#include "check.h"
#include "fake_runtime.h"

void check_wrappers() {
    FakeRuntime fake;
    const uint32_t shape[2] = {4, 8};
    Tensor first = make_tensor_external(reinterpret_cast<void *>(0x1000), shape, 2);
    Tensor second = make_tensor_external(reinterpret_cast<void *>(0x2000), shape, 2);
    fake.outputs[0] = &first;
    fake.outputs[1] = &second;
    Arg args;
    args.add_input(first, second);

    TaskOutputTensors outs = rt_submit_aic_task(5, args);
    CHECK(fake.last().op == "submit_task" && fake.last().number == 2);
    CHECK(fake.last().kernels.aic_kernel_id == 5);
    CHECK(fake.last().kernels.aiv0_kernel_id == -1 && fake.last().kernels.aiv1_kernel_id == -1);
    CHECK(outs.size() == 2 && !outs.empty());
    CHECK(&outs.get_ref(0) == &first && &outs.get_ref(1) == &second);
    CHECK(outs.task_id().ring() == 2 && outs.task_id().local() == 41);

    rt_submit_aiv_task(6, args);
    CHECK(fake.last().kernels.aic_kernel_id == -1 && fake.last().kernels.aiv0_kernel_id == 6);
    CHECK(fake.last().kernels.aiv1_kernel_id == -1);

    MixedKernels mixed;
    mixed.aiv1_kernel_id = 7;
    rt_submit_task(mixed, args);
    CHECK(fake.last().kernels.aiv1_kernel_id == 7 && fake.last().kernels.aic_kernel_id == -1);

    TensorCreateInfo info(shape, 2);
    TensorCreateInfo list[3] = {info, info, info};
    Arg outputs;
    outputs.add_output(info);
    CHECK(alloc_tensors(outputs).size() == 2 && fake.last().op == "alloc_tensors");
    CHECK(fake.last().number == 1);
    alloc_tensors(info, info);
    CHECK(fake.last().op == "alloc_tensors" && fake.last().number == 2);
    alloc_tensors(list, 3);
    CHECK(fake.last().op == "alloc_tensors" && fake.last().number == 3);

    const size_t before = fake.calls.size();
    PTO2_SCOPE() {
        PTO2_SCOPE(PTO2ScopeMode::MANUAL) { PTO2_SCOPE_GUARD(PTO2ScopeMode::MANUAL); }
        CHECK(fake.calls.size() == before + 5);
    }
    rt_scope_begin();
    rt_scope_end();
    const char *const ops[] = {"scope_begin", "scope_begin", "scope_begin", "scope_end",
                               "scope_end",   "scope_end",   "scope_begin", "scope_end"};
    const int64_t modes[] = {0, 1, 1, 0, 0, 0, 0, 0};
    CHECK(fake.calls.size() == before + 8);
    for (size_t i = 0; i < 8; ++i) {
        CHECK(fake.calls[before + i].op == ops[i] && fake.calls[before + i].number == modes[i]);
    }

    const uint32_t at[2] = {1, 3};
    fake.element = 0xffffffffc0490fdbu;
    CHECK(get_tensor_data<float>(first, 2, at) == -3.14159274f);
    CHECK(fake.last().op == "get_tensor_data" && fake.last().number == 11);
    CHECK(get_tensor_data<int16_t>(first, 2, at) == 0x0fdb);
    CHECK(get_tensor_data(first, 2, at) == 0xffffffffc0490fdbu);
    set_tensor_data(first, 2, at, int32_t{-2});
    CHECK(fake.last().op == "set_tensor_data" && fake.last().number == 0xfffffffe);
    set_tensor_data<uint64_t>(first, 2, at, 9);
    CHECK(fake.last().number == 9);
    rt_orchestration_done();
    CHECK(fake.last().op == "orchestration_done");
    CHECK(!rt_is_fatal());
}

static void check_nothing_reaches_the_table(const FakeRuntime &fake) {
    const uint32_t shape[1] = {4};
    const uint32_t at[1] = {0};
    Tensor tensor = make_tensor_external(reinterpret_cast<void *>(0x1), shape, 1);
    TensorCreateInfo info(shape, 1);
    const TensorCreateInfo list[2] = {info, info};
    Arg args;
    const size_t before = fake.calls.size();

    TaskOutputTensors outs = rt_submit_aiv_task(0, args);
    CHECK(outs.empty() && outs.size() == 0 && outs.task_id().is_invalid());
    CHECK(rt_submit_aic_task(0, args).empty());
    CHECK(rt_submit_task(MixedKernels{}, args).empty());
    CHECK(alloc_tensors(args).empty() && alloc_tensors(info).empty());
    CHECK(alloc_tensors(list, 2).empty());
    CHECK(get_tensor_data<float>(tensor, 1, at) == 0.0f);
    CHECK(get_tensor_data(tensor, 1, at) == 0);
    set_tensor_data(tensor, 1, at, 1.0f);
    rt_scope_begin(PTO2ScopeMode::MANUAL);
    rt_scope_end();
    PTO2_SCOPE() { PTO2_SCOPE_GUARD(); }
    CHECK(rt_is_fatal());
    CHECK(fake.calls.size() == before);
    CHECK(fake.prefix.pending_scope_mode == PTO2ScopeMode::AUTO);
}

void check_fatal_short_circuit() {
    FakeRuntime fake;
    PTO2_SCOPE() {
        rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "%d of %s", 3, "many");
        CHECK(fake.last().op == "report_fatal" && fake.last().number == 9);
        CHECK(fake.last().text == "3 of many" && fake.last().func == "check_fatal_short_circuit");
        check_nothing_reaches_the_table(fake);
    }
    // The scope that was open when the run failed is not closed either.
    CHECK(fake.last().op == "report_fatal");
    rt_report_fatal(4, "again");
    CHECK(fake.last().number == 4);
    LOG_ERROR("still heard");
    CHECK(fake.last().op == "log_error" && fake.last().text == "still heard");

    // The same without a runtime: nothing to call, nothing to crash on.
    framework_bind_runtime(nullptr);
    check_nothing_reaches_the_table(fake);
    rt_orchestration_done();
    rt_report_fatal(1, "nobody listens");
    LOG_INFO_V9("nobody listens");
    CHECK(fake.last().text == "still heard");
}

void check_logging() {
    FakeRuntime fake;
    LOG_ERROR("%s-%d", "a", 1);
    CHECK(fake.last().op == "log_error" && fake.last().text == "a-1");
    CHECK(fake.last().func == "check_logging");
    LOG_WARN("w");
    CHECK(fake.last().op == "log_warn" && fake.last().text == "w");
    LOG_DEBUG("d %g", 0.5);
    CHECK(fake.last().op == "log_debug" && fake.last().text == "d 0.5");
    LOG_INFO_V0("v");
    LOG_INFO_V1("v");
    LOG_INFO_V2("v");
    LOG_INFO_V3("v");
    LOG_INFO_V4("v");
    LOG_INFO_V5("v");
    LOG_INFO_V6("v");
    LOG_INFO_V7("v");
    LOG_INFO_V8("v");
    LOG_INFO_V9("v %llu", 18446744073709551615ull);
    CHECK(fake.calls.size() == 13 && fake.last().text == "v 18446744073709551615");
    for (int64_t v = 0; v < 10; ++v) {
        const Call &call = fake.calls[static_cast<size_t>(3 + v)];
        CHECK(call.op == "log_info_v" && call.number == v && call.func == "check_logging");
    }
}
