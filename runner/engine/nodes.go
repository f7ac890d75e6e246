package engine

// nodeTypes are the types that this engine runs. What they do is written down
// for users in the catalogue, schema/nodes.yaml. One of them runs pipelines, and so
// refers to this table.
var nodeTypes map[string]nodeType

func init() {
	nodeTypes = map[string]nodeType{
		"input":             {compile: compileInput},
		"output":            {compile: compileOutput},
		"text":              {compile: compileText},
		"condition":         {compile: compileCondition},
		"merge":             {compile: compileMerge, merges: "fields"},
		"time":              {compile: compileTime},
		"wait_node":         {compile: compileWait, blocking: true},
		"convert_type":      {compile: compileConvertType},
		"combine_text":      {compile: compileCombineText},
		"split_text":        {compile: compileSplitText},
		"text_formatter":    {compile: compileTextFormatter},
		"find_and_replace":  {compile: compileFindAndReplace},
		"read_json_values":  {compile: compileReadJSON},
		"write_json_value":  {compile: compileWriteJSON},
		"create_list":       {compile: compileCreateList},
		"combine_list":      {compile: compileCombineList},
		"flatten_list":      {compile: compileFlattenList},
		"get_list_item":     {compile: compileGetListItem},
		"join_list_item":    {compile: compileJoinListItem},
		"list_trimmer":      {compile: compileListTrimmer},
		"filter_list":       {compile: compileFilterList},
		"duplicate_list":    {compile: compileDuplicateList},
		"list_deduplicator": {compile: compileListDeduplicator},
		"chunking":          {compile: compileChunking},
		"csv_reader":        {compile: compileCSVReader},
		"csv_writer":        {compile: compileCSVWriter},
		"file":              {compile: compileFile},
		"file_to_text":      {compile: compileFileToText},
		"text_to_file":      {compile: compileTextToFile},
		"file_save":         {compile: compileFileSave},
		"set_variable":      {compile: compileSetVariable},
		"code_execution":    {compile: compileCodeExecution, blocking: true},
		"transformation":    {compile: compileTransformation, blocking: true},
		"pipeline":          {compile: compilePipeline, blocking: true, resumes: true, parts: true},
		"sticky_note":       {compile: compileNothing},
		"start_flag":        {compile: compileNothing},
		"url_loader":        {compile: compileURLLoader, blocking: true},
		"api":               {compile: compileAPI, blocking: true},
		"llm":               {compile: compileLLM, asks: true},
		"summarizer":        {compile: compileSummarizer, asks: true},
		"translator":        {compile: compileTranslator, asks: true},
		"scorer":            {compile: compileScorer, asks: true},
		"categorizer":       {compile: compileCategorizer, asks: true},
		"extract_data":      {compile: compileExtractData, asks: true},
		"ai_routing":        {compile: compileAIRouting, asks: true},
		"ai_filter_list":    {compile: compileAIFilterList, asks: true, parts: true},

		"llm_open_ai_vision":   {compile: compileVision("openai"), asks: true},
		"llm_anthropic_vision": {compile: compileVision("anthropic"), asks: true},
		"llm_google_vision":    {compile: compileVision("google"), asks: true},
	}
}

// compileNothing is that of nodes that are there for people only.
func compileNothing(*setup) step { return func(*call) error { return nil } }
