package console

import (
	"context"
	"net/http"
	"strings"
	"time"

	"hikyaku/internal/export"
	"hikyaku/pkg/providers"
)

// A hit is what the palette found: a page, or a customer.
type hit struct{ Text, Address string }

// palettePatience is how long the palette waits for the customers.
const palettePatience = 3 * time.Second

// servePalette finds pages and customers by words. The words come in a form, so that they
// stand in no address.
func (s *Server) servePalette(w http.ResponseWriter, r *http.Request) {
	words := strings.TrimSpace(r.PostFormValue("words"))
	v := s.view(r, page{})
	var hits []hit
	for _, p := range s.pages {
		title := s.texts.say(v.Lang, "page."+p.Name)
		if strings.Contains(p.Path, "{") && p.Path != "/{$}" || words != "" && !strings.Contains(strings.ToLower(title+" "+p.Name), strings.ToLower(words)) {
			continue
		}
		hits = append(hits, hit{title, p.Address()})
	}
	if words != "" {
		hits = append(hits, s.placeHits(v.Lang, words)...)
	}
	if len([]rune(words)) >= 2 {
		ctx, cancel := context.WithTimeout(r.Context(), palettePatience)
		defer cancel()
		hits = append(hits, s.customerHits(ctx, words)...)
	}
	v.Data = hits
	s.send(w, r, http.StatusOK, v, "outside", "palette")
}

// placeHits are the parts of pages with a name of their own: a provider's credential and
// records, and a dataset.
func (s *Server) placeHits(lang, words string) []hit {
	var hits []hit
	add := func(address string, names ...string) {
		text := strings.Join(names, " · ")
		if strings.Contains(strings.ToLower(text+" "+address), strings.ToLower(words)) {
			hits = append(hits, hit{text, address})
		}
	}
	title := func(page string) string { return s.texts.say(lang, "page."+page) }
	for _, provider := range providers.Names() {
		name := s.texts.word(lang, "system", provider)
		add("/tokens/"+provider, title("tokens"), name)
		if s.options.Dev == nil {
			continue
		}
		add("/sandboxes/"+provider, title("sandboxes"), name)
		if editor := s.options.Dev.Editor(provider); editor != nil {
			for _, kind := range editor.Kinds() {
				add(kindCount{Provider: provider, Name: kind.Name}.Path(), title("sandboxes"), name, s.texts.word(lang, "records", kind.Name))
			}
		}
	}
	for _, dataset := range export.DatasetNames() {
		d := datasetRuns{Dataset: dataset}
		add("/exports#dataset-"+d.ID(), title("exports"), s.texts.word(lang, "system", d.Provider()), s.texts.word(lang, "dataset", d.ID()))
	}
	return hits
}

// customerHits are the customers who match; none if they cannot be read in time, because
// the page of the customers says why.
func (s *Server) customerHits(ctx context.Context, words string) []hit {
	people, err := s.searchCustomers(ctx, words)
	if err != nil {
		return nil
	}
	hits := make([]hit, 0, len(people))
	for _, p := range people {
		hits = append(hits, hit{p.Name + " · " + p.ID, "/relay/people/" + p.ID})
	}
	return hits
}

// A customer is a person of the booking page, as a search finds them.
type customer struct{ ID, Name, Email string }

// searchCustomers asks the booking page for those whom all the words fit.
func (s *Server) searchCustomers(ctx context.Context, words string) ([]customer, error) {
	var printed personList
	if err := s.reader.read(ctx, &printed, "users", "list", "supersaas", "--search", words, "--limit", "20"); err != nil {
		return nil, err
	}
	found := make([]customer, 0, len(printed.Records))
	for _, u := range printed.Records {
		found = append(found, customer{u.ID, u.Shown("full_name", "name"), u.Shown("email", "name")})
	}
	return found, nil
}
